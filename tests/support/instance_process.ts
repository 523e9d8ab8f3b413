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
  /** Runs a command on a terminal, on which a text is typed. */
  typeAt(typed: string, ...args: readonly string[]): Promise<Finished>;
  /** Starts a command and does not wait for its end. */
  start(...args: readonly string[]): Running;
  /** Runs a command in the process of the test. Its --timeout is over once `end` has resolved. */
  timeOut(end: (running: Running) => Promise<unknown>, ...args: readonly string[]): Promise<Finished>;
}

/**
 * The seconds of a timeout, which no other pause has. Some commands refuse one above 300, and of a long one others take only
 * a part to find their server.
 */
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
  /** Ends it by a signal and waits. */
  end(signal: NodeJS.Signals): Promise<Finished>;
}

/** An instance that several tests share, with a folder of its own. */
export interface SharedInstance extends Omit<Instance, keyof AsyncDisposable> {
  readonly folder: TempFolder;
  /** Keeps something until the tests have ended; it is disposed before the instance. */
  use<T extends AsyncDisposable>(thing: T): T;
}

/** What an instance is started with. */
interface SharedInstanceOptions {
  readonly args?: readonly string[];
  readonly command?: "up" | "serve";
  /** Writes the files that the instance reads when it starts. */
  readonly prepare?: (folder: TempFolder) => Promise<void>;
}

/**
 * Declares tests that share one instance, which starts before the first of them and ends after the last. Its functions
 * are there while tests are declared, the other properties only while they run.
 */
export function describeInstance(
  title: string,
  { args, command, prepare }: SharedInstanceOptions,
  declare: (instance: SharedInstance) => void,
): void {
  describe(title, () => {
    const shared = {
      ...createCommands(() => shared.folder.path),
      use: (thing) => stack.use(thing),
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

/** The command line that gets a machine its certificate by the file of `up`, with its files in a folder of its name. */
export function bootstrapLine(node: string, ...more: readonly string[]): readonly string[] {
  return ["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", ...machineFlags(node), ...more];
}

/** The name of a machine and its files, in a folder of that name. */
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

/** Starts an instance as a child process, for tests that kill it or read what the system shows of it. */
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

/** Describes for a failed test whether the program has ended, and what it printed. */
export async function describeFate({ running }: Pick<Instance, "running">): Promise<string> {
  // It has ended a moment before it is known to have.
  await Promise.race([running.finished(), setTimeout(1_000, undefined, { ref: false })]);
  return running.hasEnded() ? `tlsboot has ended:\n${running.stderr()}` : "tlsboot is still running";
}

/** An API over a kubeconfig. */
export interface Connected extends AsyncDisposable {
  readonly api: ApiClient;
}

export async function connectWith(kubeconfig: string): Promise<Connected> {
  const clock = createSystemClock();
  const files = createFilePort();
  const transport = await createConnector({ files, clock, userAgent: "test" })(await readCluster(kubeconfig, files));
  return { api: createApiClient(transport, { clock }), [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() };
}

/** Reads the name of the user that the API sees behind a kubeconfig; 401 when the server does not accept it. */
export async function whoIs(kubeconfig: string): Promise<string> {
  const identity = await readIdentity(kubeconfig);
  return identity === "401" ? identity : identity.username;
}

/** Reads the user that the API sees behind a kubeconfig; 401 when the server does not accept it. */
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
