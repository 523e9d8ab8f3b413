/**
 * The state and the tools that the steps of the demo share: the running instance, the audience, connections, and the
 * commands that are shown and run.
 */
import { isAbsolute } from "node:path";
import { type ApiClient, createApiClient } from "../../../client/objects/api.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { AppError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/ports.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import { formatCommandLine, type Input } from "../../framework/command.ts";
import { type DataDir, dataDirAt } from "../../../instance/data_dir.ts";
import { type FullOptions, startFullInstance } from "../../../instance/full_instance.ts";
import { DEFAULT_SETTINGS, type InstanceSettings } from "../../../instance/settings.ts";
import type { Instance } from "../../../instance/instance.ts";
import type { Io, OutputStream, Tools } from "../../io.ts";
import { displayPath, pathWord } from "../../output/files.ts";
import { type Bootstrapping, type DemoMachine, type JoiningOptions, planMachine, startMachine } from "./machines.ts";
import type { Audience, Cast, Pace, StepId } from "../../../ui/story/chapters.ts";
import { findProgram } from "../../processes.ts";
import { ANSWER_COLUMNS } from "./narrator.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";

interface DemoOptions {
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
  /** Runs the commands of tlsboot, as a user would. */
  readonly run: Input["run"];
  readonly programs: KnownPrograms;
  /** Runs when the server has started for the first time, before the first step. */
  readonly onServing?: (dir: DataDir) => Promise<void>;
  /** Faults that make the demo fail, for tests. */
  readonly sabotage?: Sabotage;
}

/** Faults that a test can add to the demo. */
export interface Sabotage {
  readonly withoutApproval?: boolean;
  readonly without?: readonly ("approver" | "signer")[];
  /** Runs when the server has started, but not its controllers. */
  readonly beforeControllers?: (dir: DataDir) => Promise<void>;
}

interface RunOptions {
  /** The expected exit code. Default: 0. */
  readonly code?: ExitCode;
  /** The largest number of lines of the answer to show. */
  readonly maxLines?: number;
  /** Matches the lines of the answer that are shown. Default: all. */
  readonly only?: RegExp;
  /** The file that the command's output is redirected to; then the audience does not see it. */
  readonly into?: string;
}

/** A connection with the credentials of a kubeconfig. */
export interface Connected extends AsyncDisposable {
  readonly api: ApiClient;
}

/** The stage of the story. Disposing it stops its machines and then its instance. */
export class Stage implements AsyncDisposable {
  readonly options: DemoOptions;
  readonly dir: DataDir;
  readonly cast: Cast;
  readonly #ended = new AbortController();
  readonly #machines: Promise<unknown>[] = [];
  #running: { readonly instance: Instance; readonly settings: InstanceSettings } | undefined;

  constructor(options: DemoOptions) {
    const { nodes } = options;
    this.options = options;
    this.dir = dataDirAt(options.root);
    this.cast = { count: nodes, victim: `node-${nodes}` };
  }

  /** The running instance. It has started before the second step. */
  get instance(): Instance {
    if (this.#running === undefined) throw new AppError("internal", "the demo's server is not running");
    return this.#running.instance;
  }

  /** Aborts when the user interrupts the demo, when its server fails, and when the stage is disposed. */
  get signal(): AbortSignal {
    const lost = this.#running === undefined ? [] : [this.#running.instance.lost];
    return AbortSignal.any([this.options.tools.signal, this.#ended.signal, ...lost]);
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

  /** Starts the instance on a free port. */
  async start(changes: Partial<InstanceSettings>, options: FullOptions = {}): Promise<void> {
    const { tools, logger, root } = this.options;
    const keys = createCaKeys({}, tools);
    const deps = { ...tools, heap: tools.heap, logger, keys };
    const settings = { ...DEFAULT_SETTINGS, dataDir: root, securePort: 0, ...changes };
    const instance = await startFullInstance(settings, deps, tools.signal, options);
    this.#running = { instance, settings: { ...settings, securePort: instance.server.port } };
  }

  /** Restarts the instance at the same address with other settings. `flags` are these settings as flags, to be shown. */
  async restart(changes: Partial<InstanceSettings>, flags: readonly string[]): Promise<void> {
    const { securePort } = this.#running?.settings ?? {};
    await this.#stop();
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

  /** Shows a command of tlsboot, runs it and shows its answer. Throws AppError `api_error` for an unexpected exit code. */
  async run(
    words: readonly string[],
    { code = EXIT.done, maxLines = Infinity, only = /^/, into }: RunOptions = {},
  ): Promise<{ readonly stdout: string }> {
    this.command(`${formatCommandLine(words)}${into === undefined ? "" : ` > ${this.word(into)}`}`);
    const { tools, run } = this.options;
    const { signal } = this;
    const printed = { all: "", stdout: "" };
    const ended = await run(words, captureOutput(printed, tools), signal);
    signal.throwIfAborted();
    const lines = printed.all.trimEnd().split("\n").filter((line) => only.test(line));
    const more = lines.length > maxLines ? [`… and ${lines.length - maxLines} more`] : [];
    const text = [...lines.slice(0, maxLines), ...more].join("\n");
    if (text !== "" && into === undefined) this.emit({ kind: "answer", text });
    if (ended === code) return printed;
    throw new AppError("api_error", `tlsboot ${words[0]} ended with ${ended} instead of ${code}: ${printed.all}`);
  }

  /** Formats the beginning of a kubectl command that uses a kubeconfig. */
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

  /** Formats an absolute path for kubelet, which writes it into a kubeconfig, where relative paths start at that file. */
  absoluteWord(path: string): string {
    return `${isAbsolute(this.show(path)) ? "" : '"$PWD"/'}${this.word(path)}`;
  }

  machine(name: string): DemoMachine {
    return planMachine(this.dir, name);
  }

  startMachine(machine: DemoMachine, options: JoiningOptions): Bootstrapping {
    const { tools, logger } = this.options;
    const { signal } = this;
    signal.throwIfAborted();
    const started = startMachine(machine, options, { ...tools, logger }, signal);
    this.#machines.push(started.outcome);
    return started;
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
    this.#ended.abort(new AppError("aborted", "the demo has ended"));
    // A machine that is writing its files finishes first.
    await Promise.allSettled(this.#machines);
    await this.#stop();
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.instance[Symbol.asyncDispose]();
  }
}

/** The largest number of requests to show. */
const SHOWN_ROWS = 10;

/** Shows the first rows of the list of requests. */
export async function listRequests(stage: Stage): Promise<void> {
  await stage.run(["get", "csr", "--data-dir", stage.show(stage.dir.root)], { maxLines: 1 + SHOWN_ROWS });
}

/** Which programs are on the PATH, so that the demo can show commands for them. */
interface KnownPrograms {
  readonly kubectl: boolean;
  readonly kubelet: boolean;
  readonly openssl: boolean;
}

export async function findPrograms({ env }: Pick<Io, "env">): Promise<KnownPrograms> {
  const has = async (name: string): Promise<boolean> => await findProgram(name, env["PATH"]) !== undefined;
  const kubectl = await has("kubectl");
  return { kubectl, kubelet: kubectl && await has("kubelet"), openssl: await has("openssl") };
}

/**
 * Creates the environment of a command as if it were typed in a terminal, but without environment variables, input or a
 * configuration file. What the command prints is appended to `printed`.
 */
function captureOutput(printed: { all: string; stdout: string }, io: Io): Io {
  // stdout looks like a terminal of this width, so that tables fit into the answer.
  const stream = (name: "stdout" | "stderr"): OutputStream => ({
    write(text) {
      printed.all += text;
      if (name === "stdout") printed.stdout += text;
    },
    isTerminal: name === "stdout",
    columns: ANSWER_COLUMNS,
  });
  const stdin: Io["stdin"] = {
    isTerminal: false,
    readAll: () => Promise.resolve(""),
    readLine: () => Promise.resolve(undefined),
    readHidden: () => Promise.resolve(undefined),
  };
  return { ...io, stdin, stdout: stream("stdout"), stderr: stream("stderr"), env: { NO_COLOR: "1" } };
}
