/** `tlsboot up` and `tlsboot serve` for tests, and calls to their API from the test. */
import { setTimeout } from "node:timers/promises";
import { after, before, describe } from "node:test";
import { type ApiClient, createApiClient } from "../../client/objects/api.ts";
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { createFilePort } from "../../client/files.ts";
import { isAppError } from "../../core/errors.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import {
  type Child,
  type Finished,
  type Running,
  runOnTerminal,
  runTlsboot,
  spawnTlsboot,
  startCaptured,
  startTlsboot,
} from "./child.ts";
import { type Expecting, expecting } from "./run_captured.ts";
import { createTempFolder, type TempFolder } from "./temp.ts";

/** Commands of tlsboot in a folder, where `data` is the data directory. */
export interface Commands extends Expecting<readonly string[]> {
  /** Runs a command to its end. */
  tlsboot(...args: readonly string[]): Promise<Finished>;
  /** Runs a command on a terminal where a text is typed. */
  typeAt(typed: string, ...args: readonly string[]): Promise<Finished>;
  /** Starts a command and does not wait for its end. */
  start(...args: readonly string[]): Running;
  /** Runs a command in the process of the test. Its --timeout passes once `end` has resolved. */
  timeOut(end: (running: Running) => Promise<unknown>, ...args: readonly string[]): Promise<Finished>;
}

/** The timeout in seconds, which differs from every other sleep. Some commands refuse more than 300. */
const TIMEOUT_SECONDS = 287;

/** A folder in which commands run. */
export interface Workplace extends TempFolder, Commands {}

/** A running instance, and commands for it. Disposing it ends it. */
export interface Instance<P extends Running = Running> extends Commands, AsyncDisposable {
  readonly running: P;
  readonly url: string;
  readonly port: number;
  /** The path of its data directory. */
  readonly data: string;
  /** Ends it with a signal and waits. */
  end(signal: NodeJS.Signals): Promise<Finished>;
}

/** An instance that several tests share, and its folder. */
export interface SharedInstance extends Omit<Instance, keyof AsyncDisposable> {
  readonly folder: TempFolder;
  /** Disposes a value after the tests, before the instance. */
  use<T extends Disposable | AsyncDisposable>(value: T): T;
}

/** How to start an instance. */
interface SharedInstanceOptions {
  readonly args?: readonly string[];
  readonly command?: "up" | "serve";
  /** Writes the files that the instance reads when it starts. */
  readonly prepare?: (folder: TempFolder) => Promise<void>;
}

/**
 * Declares tests that share one instance, which starts before the first test and ends after the last. While tests are
 * declared, only its functions exist.
 */
export function describeInstance(
  title: string,
  { args, command, prepare }: SharedInstanceOptions,
  declare: (instance: SharedInstance) => void,
): void {
  describe(title, () => {
    const shared = {
      ...createCommands(() => shared.folder.path),
      use: (value) => stack.use(value),
    } as SharedInstance;
    const stack = new AsyncDisposableStack();
    before(async () => {
      const folder = stack.use(await createTempFolder());
      await prepare?.(folder);
      const instance = stack.use(await startInstance(folder, args, command));
      Object.assign(shared, instance, { folder });
    });
    after(() => stack.disposeAsync());
    declare(shared);
  });
}

function createCommands(findCwd: () => string): Commands {
  const place = () => ({ cwd: findCwd(), env: { TLSBOOT_DATA_DIR: "data" } });
  const tlsboot = (...args: readonly string[]) => runTlsboot(args, place());
  return {
    tlsboot,
    ...expecting(tlsboot),
    typeAt: (stdin, ...args) => runOnTerminal(args, { ...place(), stdin }),
    start: (...args) => startTlsboot(args, place()),
    async timeOut(end, ...args) {
      const clock = createSystemClock();
      const running = startCaptured([...args, "--timeout", `${TIMEOUT_SECONDS}s`], {
        ...place(),
        random: createSystemRandom(),
        clock: {
          ...clock,
          async sleep(ms, signal) {
            const sleeping = clock.sleep(ms, signal);
            await (ms === TIMEOUT_SECONDS * 1000 ? Promise.race([sleeping, end(running)]) : sleeping);
          },
        },
      });
      return await running.finished();
    },
  };
}

/** Creates a folder in which commands run. */
export async function createWorkplace(): Promise<Workplace> {
  const folder = await createTempFolder();
  return { ...folder, ...createCommands(() => folder.path) };
}

/** Returns the command line that bootstraps a machine with the bootstrap kubeconfig of `up`. */
export function bootstrapLine(node: string, ...more: readonly string[]): readonly string[] {
  return ["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", ...machineFlags(node), ...more];
}

/** Returns the flags for the name of a machine and for its files, in a folder of that name. */
export function machineFlags(node: string): readonly string[] {
  return ["--hostname-override", node, "--kubeconfig", `${node}/kubeconfig`, "--cert-dir", `${node}/pki`];
}

/** Starts an instance below a folder, in the process of the test (see `startTlsboot`), and waits until it serves. */
export function startInstance(
  folder: TempFolder,
  args?: readonly string[],
  command?: "up" | "serve",
): Promise<Instance> {
  return startWith(startTlsboot, folder, args, command);
}

/** Starts an instance as a child process, for tests that kill it or inspect its process. */
export function spawnInstance(
  folder: TempFolder,
  args?: readonly string[],
  command?: "up" | "serve",
): Promise<Instance<Child>> {
  return startWith(spawnTlsboot, folder, args, command);
}

const STARTED = /(?:is up at|serves) (https:\/\/\S+:(\d+))/;

async function startWith<P extends Running>(
  launch: (args: readonly string[], options: { readonly cwd: string }) => P,
  folder: TempFolder,
  args: readonly string[] = [],
  command: "up" | "serve" = "up",
): Promise<Instance<P>> {
  const data = folder.join("data");
  const port = args.includes("--secure-port") ? [] : ["--secure-port", "0"];
  const running = launch([command, "--data-dir", data, ...port, ...args], { cwd: folder.path });
  try {
    const [, url = "", number = "0"] = await running.waitFor(STARTED);
    return {
      ...createCommands(() => folder.path),
      running,
      url,
      port: Number(number),
      data,
      async end(signal) {
        running.kill(signal);
        return await running.finished();
      },
      [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
    };
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

/** Describes for a failed test whether the program has ended; if so, with its messages. */
export async function describeFate({ running }: Pick<Instance, "running">): Promise<string> {
  // A program that has just ended is not reported at once.
  await Promise.race([running.finished(), setTimeout(1_000, undefined, { ref: false })]);
  return running.hasEnded() ? `tlsboot has ended:\n${running.stderr()}` : "tlsboot is still running";
}

/** A client of the API in a kubeconfig. */
export interface Connected extends AsyncDisposable {
  readonly api: ApiClient;
}

export async function connectWith(kubeconfig: string): Promise<Connected> {
  const clock = createSystemClock();
  const files = createFilePort();
  const transport = await createConnector({ files, clock, userAgent: "test" })(await readCluster(kubeconfig, files));
  return { api: createApiClient(transport, { clock }), [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() };
}

/** Returns the name of a kubeconfig's user as the API reports it; 401 if the server refuses the credentials. */
export async function whoIs(kubeconfig: string): Promise<string> {
  const identity = await readIdentity(kubeconfig);
  return identity === "401" ? identity : identity.username;
}

/** Returns a kubeconfig's user as the API reports it; 401 if the server refuses the credentials. */
export async function readIdentity(kubeconfig: string): Promise<UserInfo | "401"> {
  await using connected = await connectWith(kubeconfig);
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  try {
    const answer = await connected.api.requestJson({ method: "POST", path, body }, new AbortController().signal);
    return (answer as { readonly status: { readonly userInfo: UserInfo } }).status.userInfo;
  } catch (error) {
    if (!isAppError(error, "unauthorized")) throw error;
    return "401";
  }
}
