/** The things that the steps of the demo share: the running instance, the audience, and commands and connections as a user has them. */
import { isAbsolute } from "node:path";
import { type ApiClient, createApiClient } from "../../../client/objects/api.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { AppError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/ports.ts";
import { createCaKeys } from "../../passphrases/ca_keys.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { CommandTable } from "../../framework/command.ts";
import { type DataDir, dataDirAt } from "../../../instance/data_dir.ts";
import { type FullOptions, startFullInstance } from "../../../instance/full_instance.ts";
import { DEFAULT_SETTINGS, type InstanceSettings } from "../../../instance/settings.ts";
import type { Instance } from "../../../instance/instance.ts";
import type { Tools } from "../../io.ts";
import { displayPath, pathWord } from "../../output/display_path.ts";
import { formatCommandLine } from "../../framework/command_line.ts";
import { type CommandAnswer, type KnownPrograms, runCommand } from "./commands.ts";
import { type DemoMachine, planMachine } from "./machines.ts";
import type { Audience, Cast, Pace, StepId } from "../../../ui/story/chapters.ts";

export interface DemoOptions {
  /** The absolute path of the data directory, which is empty except for the marker. */
  readonly root: string;
  /** The number of machines that request their first certificate. */
  readonly nodes: number;
  /** How long a machine waits for its certificate. */
  readonly waitSeconds: number;
  readonly audience: Audience;
  readonly pace: Pace;
  readonly tools: Tools;
  readonly logger: Logger;
  /** The commands of tlsboot, which the demo runs as a user would. */
  readonly table: CommandTable;
  readonly programs: KnownPrograms;
  /** Runs when the server has started for the first time, before the first step. */
  readonly onServing?: (dir: DataDir) => Promise<void>;
  /** Parts that tests remove or break, so that the demo must fail. */
  readonly sabotage?: Sabotage;
}

/** Faults that a test can add to the demo. */
export interface Sabotage {
  readonly withoutApproval?: boolean;
  readonly without?: readonly ("approver" | "signer")[];
  /** Runs when the server has started, but not its controllers. */
  readonly beforeControllers?: (dir: DataDir) => Promise<void>;
}

export interface RunOptions {
  /** The expected exit code. Default: 0. */
  readonly code?: ExitCode;
  /** The largest number of lines of the answer that are shown. */
  readonly maxLines?: number;
  /** The lines of the answer that are shown, where the others are of no interest. */
  readonly only?: RegExp;
  /** The file that gets the answer instead of the audience. */
  readonly into?: string;
}

/** A connection with the credentials of a kubeconfig. */
export interface Connected extends AsyncDisposable {
  readonly api: ApiClient;
}

/** The stage of the story. Disposing it stops the instance. */
export class Stage implements AsyncDisposable {
  readonly options: DemoOptions;
  readonly dir: DataDir;
  readonly cast: Cast;
  #running: { readonly instance: Instance; readonly settings: InstanceSettings } | undefined;

  constructor(options: DemoOptions) {
    const { nodes } = options;
    this.options = options;
    this.dir = dataDirAt(options.root);
    this.cast = { count: nodes, victim: `node-${nodes}` };
  }

  /** The instance, which has started before the second step. */
  get instance(): Instance {
    if (this.#running === undefined) throw new AppError("internal", "the demo's server does not run");
    return this.#running.instance;
  }

  /** Fires when the user interrupts the demo, or when its server has failed. */
  get signal(): AbortSignal {
    const { signal } = this.options.tools;
    return this.#running === undefined ? signal : AbortSignal.any([signal, this.#running.instance.lost]);
  }

  /** Waits until the next step may begin, and announces it. */
  async step(id: StepId): Promise<void> {
    await this.options.pace.wait(this.signal);
    this.options.audience({ kind: "step", id, cast: this.cast });
  }

  get emit(): Audience {
    return this.options.audience;
  }

  fact(text: string): void {
    this.emit({ kind: "fact", text });
  }

  /** Shows a fact that the demo has checked. */
  verified(text: string): void {
    this.emit({ kind: "fact", text, isVerified: true });
  }

  /** Starts the instance; the address stays the same when it starts again. */
  async start(changes: Partial<InstanceSettings>, options: FullOptions = {}): Promise<void> {
    const { tools, logger, root } = this.options;
    const keys = createCaKeys({}, tools);
    const deps = { ...tools, heap: tools.heap, logger, keys };
    const settings = { ...DEFAULT_SETTINGS, dataDir: root, securePort: 0, ...changes };
    const instance = await startFullInstance(settings, deps, tools.signal, options);
    this.#running = { instance, settings: { ...settings, securePort: instance.server.port } };
  }

  /** Stops the instance, and starts it with other settings at the same address. `flags` are these settings as flags. */
  async restart(changes: Partial<InstanceSettings>, flags: readonly string[]): Promise<void> {
    const { securePort } = this.#running?.settings ?? {};
    await this[Symbol.asyncDispose]();
    this.emit({ kind: "stopped" });
    this.fact("The server stops, and starts again:");
    this.showUp(securePort ?? 0, flags);
    await this.start({ ...changes, ...(securePort === undefined ? {} : { securePort }) });
    this.emit({ kind: "serving", url: this.instance.url });
  }

  /** Shows the command that starts the server. */
  showUp(port: number, flags: readonly string[] = []): void {
    this.command(
      formatCommandLine(["up", "--data-dir", this.show(this.dir.root), "--secure-port", String(port), ...flags]),
    );
  }

  /** Shows a command that does the same by hand. */
  command(text: string): void {
    this.emit({ kind: "command", text });
  }

  /** Shows a command of tlsboot, runs it, and shows its answer. Another exit code than the expected one ends the demo. */
  async run(
    words: readonly string[],
    { code = EXIT.done, maxLines = Infinity, only = /^/, into }: RunOptions = {},
  ): Promise<CommandAnswer> {
    this.command(`${formatCommandLine(words)}${into === undefined ? "" : ` > ${this.word(into)}`}`);
    const { tools, table } = this.options;
    const answer = await runCommand(words, table, { ...tools, signal: this.signal });
    const lines = answer.text.trimEnd().split("\n").filter((line) => only.test(line));
    const more = lines.length > maxLines ? [`… and ${lines.length - maxLines} more`] : [];
    const text = [...lines.slice(0, maxLines), ...more].join("\n");
    if (text !== "" && into === undefined) this.emit({ kind: "answer", text });
    if (answer.code === code) return answer;
    throw new AppError("api_error", `tlsboot ${words[0]} ended with ${answer.code} instead of ${code}: ${answer.text}`);
  }

  /** Returns kubectl as the user of a kubeconfig. */
  kubectl(kubeconfigPath: string): string {
    return `kubectl --kubeconfig ${this.word(kubeconfigPath)}`;
  }

  /** Formats a path for people. */
  show(path: string): string {
    return displayPath(path, this.options.tools.cwd);
  }

  /** Formats a path for a shell. */
  word(path: string): string {
    return pathWord(path, this.options.tools.cwd);
  }

  /** Formats a path for kubelet, which copies it into its kubeconfig, where a relative path starts at the kubeconfig. */
  absoluteWord(path: string): string {
    return `${isAbsolute(this.show(path)) ? "" : '"$PWD"/'}${this.word(path)}`;
  }

  machine(name: string): DemoMachine {
    return planMachine(this.dir, name);
  }

  /** The words of `tlsboot bootstrap` for a machine, without its credentials. */
  bootstrapWords({ name, kubeconfigPath, certDir }: DemoMachine): readonly string[] {
    return [
      ...["--hostname-override", name, "--kubeconfig", this.show(kubeconfigPath)],
      ...["--cert-dir", this.show(certDir)],
    ];
  }

  async connect(kubeconfigPath: string): Promise<Connected> {
    const { tools } = this.options;
    const transport = await tools.connect(await readCluster(kubeconfigPath, tools.files));
    return {
      api: createApiClient(transport, tools),
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.instance[Symbol.asyncDispose]();
  }
}

/** The number of requests that a list of the demo shows. */
const SHOWN_ROWS = 10;

/** Shows the list of requests, limited to the first rows. */
export async function listRequests(stage: Stage): Promise<void> {
  await stage.run(["get", "csr", "--data-dir", stage.show(stage.dir.root)], { maxLines: 1 + SHOWN_ROWS });
}
