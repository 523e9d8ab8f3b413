/**
 * Programs that tests run: tlsboot, in the process of the test or as a child process, and other programs as child
 * processes. A child process is signalled only by its pid.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import "../../scripts/jsx_on_node.ts";
import { AppError, findErrorCode } from "../../core/errors.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { type CapturedIoOptions, createCapturedIo } from "./captured_io.ts";
import type { TempFolder } from "./temp.ts";

/** The result of a finished program. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running program. Disposing it stops it and waits until it has ended. */
export interface Running extends AsyncDisposable {
  stdout(): string;
  stderr(): string;
  /**
   * Waits until an output matches, by default stdout or stderr, and returns the match. Rejects when the program ends
   * first or the timeout passes.
   */
  waitFor(pattern: RegExp, timeoutMs?: number, stream?: "stdout" | "stderr"): Promise<RegExpMatchArray>;
  hasEnded(): boolean;
  /** Sends a signal. In the process of the test, only SIGINT and SIGTERM work, and interrupt tlsboot. */
  kill(signal: NodeJS.Signals): void;
  finished(): Promise<Finished>;
}

/** A program in a child process. Disposing it kills it. */
export interface Child extends Running {
  readonly pid: number;
}

/** How to start a program. */
export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** The longest time for a program that a test runs to its end, on a busy machine. */
const RUN_TIMEOUT_MS = 300_000;

export const ROOT = process.cwd();

/** The flags with which Node runs the sources: no warnings, and JSX. */
export const NODE_FLAGS: readonly string[] = [
  "--disable-warning=ExperimentalWarning",
  "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
  `--import=${pathToFileURL(join(ROOT, "scripts", "jsx_on_node.ts"))}`,
];

/**
 * Returns the command and arguments that run tlsboot: the released file `TLSBOOT_TEST_BINARY`, or the sources. The
 * sources run on the Node in `TLSBOOT_TEST_NODE`, which the interoperability suite sets, or on the runtime of the test.
 */
export function tlsbootCommand(args: readonly string[]): readonly [string, readonly string[]] {
  const binary = process.env["TLSBOOT_TEST_BINARY"];
  if (binary !== undefined) return [binary, args];
  const main = join(ROOT, "cli", "main.ts");
  const node = process.env["TLSBOOT_TEST_NODE"];
  if (node === undefined && process.versions["deno"] !== undefined) {
    return [process.execPath, ["run", "-A", "--no-check", "--quiet", main, ...args]];
  }
  return [node ?? process.execPath, [...NODE_FLAGS, main, ...args]];
}

/**
 * Starts tlsboot in the process of the test, which takes a tenth of the time of a child process. It starts a child
 * process if a variable names the released file or a Node.
 */
export function startTlsboot(args: readonly string[], options: StartOptions = {}): Running {
  const isChild = ["TLSBOOT_TEST_BINARY", "TLSBOOT_TEST_NODE"].some((name) => process.env[name] !== undefined);
  return isChild ? spawnTlsboot(args, options) : startCaptured(args, createProcessIo(options));
}

/** Returns the Io options with which tlsboot in the process of the test behaves as in a child process. */
function createProcessIo(options: StartOptions): CapturedIoOptions {
  return {
    cwd: process.cwd(),
    ...options,
    env: { ...process.env, NO_COLOR: "1", ...options.env } as Record<string, string>,
    execPath: process.execPath,
    versions: process.versions as Readonly<Record<string, string>>,
    clock: createSystemClock(),
    random: createSystemRandom(),
  };
}

/** Runs tlsboot to its end, in the same way as `startTlsboot`. */
export async function runTlsboot(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  await using running = startTlsboot(args, options);
  return await awaitEnd(running, ["tlsboot", ...args]);
}

/** Starts tlsboot as a child process, for tests of signals, limits and kills. */
export function spawnTlsboot(args: readonly string[], options: StartOptions = {}): Child {
  const [command, all] = tlsbootCommand(args);
  return start(command, all, options);
}

/** Runs tlsboot as a child process to its end. */
export async function spawnTlsbootToEnd(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  await using running = spawnTlsboot(args, options);
  return await awaitEnd(running, ["tlsboot", ...args]);
}

/** Runs tlsboot as a child process to its end, and fails unless it succeeds. */
export async function succeedTlsboot(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  return assertSuccess(await spawnTlsbootToEnd(args, options), ["tlsboot", ...args]);
}

/** Runs tlsboot as a child process in a folder, and fails unless it succeeds. */
export function succeedIn(folder: TempFolder, ...args: readonly string[]): Promise<Finished> {
  return succeedTlsboot(args, { cwd: folder.path });
}

function assertSuccess(finished: Finished, words: readonly string[]): Finished {
  assert.equal(finished.code, 0, `${words.join(" ")}: ${finished.stdout}${finished.stderr}`);
  return finished;
}

/** Runs tlsboot to its end in the process of the test, on a terminal where `stdin` is typed. */
export async function runOnTerminal(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  await using running = startCaptured(args, { ...createProcessIo(options), isTerminal: true });
  return await awaitEnd(running, ["tlsboot", ...args]);
}

/** Starts tlsboot in the process of the test with the given Io. Only tests that call this load the program. */
export function startCaptured(args: readonly string[], options: CapturedIoOptions, signal?: AbortSignal): Running {
  const output = createOutput(["tlsboot", ...args].join(" "));
  const interruption = new AbortController();
  const io = createCapturedIo(options);
  const stream = (name: "stdout" | "stderr") => ({ ...io[name], write: (text: string) => output.write(name, text) });
  const finished = import("../../cli/run.ts").then(({ run }) =>
    run(
      args,
      { ...io, stdout: stream("stdout"), stderr: stream("stderr") },
      AbortSignal.any([interruption.signal, ...(signal === undefined ? [] : [signal])]),
    )
  ).then(output.end);
  return {
    ...output.reader,
    kill(signal) {
      if (signal !== "SIGINT" && signal !== "SIGTERM") {
        throw new Error(`only a child process can receive ${signal}; use spawnTlsboot`);
      }
      interruption.abort(new AppError("aborted", "interrupted"));
    },
    finished: () => finished,
    async [Symbol.asyncDispose]() {
      interruption.abort(new AppError("aborted", "interrupted"));
      await finished;
    },
  };
}

/** Runs any program to its end. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Finished> {
  await using running = start(command, args, options);
  return await awaitEnd(running, [command, ...args]);
}

/** Runs any program to its end, and fails unless it succeeds. */
export async function succeedProgram(
  command: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Finished> {
  return assertSuccess(await runProgram(command, args, options), [command, ...args]);
}

/** Waits for the end of a program; a program that does not end fails its test instead of blocking the run. */
async function awaitEnd(running: Running, words: readonly string[]): Promise<Finished> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const output = `--- stdout\n${running.stdout()}\n--- stderr\n${running.stderr()}`;
    reject(new Error(`${words.join(" ")}: still running after ${RUN_TIMEOUT_MS} ms\n${output}`));
  }, RUN_TIMEOUT_MS);
  try {
    return await Promise.race([running.finished(), promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Sends a signal by pid if the child is alive. On Deno, `child.kill` works only once. */
function sendSignal({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has ended, but Node has not reported that yet.
    if (findErrorCode(error) !== "ESRCH") throw error;
  }
}

export function start(command: string, args: readonly string[], options: StartOptions = {}): Child {
  const child: ChildProcess = spawn(command, [...args], {
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, NO_COLOR: "1", ...options.env },
  });
  const output = createOutput([command, ...args].join(" "));
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (chunk: string) => output.write(name, chunk));
  }
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.stdin ?? "");
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(output.end(code ?? (signal === null ? 1 : 128))));
  });
  finished.catch(() => {});
  return {
    ...output.reader,
    pid: child.pid ?? 0,
    kill: (signal) => sendSignal(child, signal),
    finished: () => finished,
    async [Symbol.asyncDispose]() {
      if (!output.reader.hasEnded()) sendSignal(child, "SIGKILL");
      await finished.catch(() => undefined);
    },
  };
}

/** The output of a program so far, which the program writes and the test reads. */
interface Output {
  readonly reader: Pick<Running, "stdout" | "stderr" | "hasEnded" | "waitFor">;
  write(stream: "stdout" | "stderr", text: string): void;
  end(code: number): Finished;
}

function createOutput(command: string): Output {
  const output = { stdout: "", stderr: "" };
  const listeners = new Set<() => void>();
  let ended: Finished | undefined;
  const notify = () => {
    for (const listener of [...listeners]) listener();
  };
  const describe = (what: string, pattern: RegExp) =>
    new Error(`${command}: ${what} ${pattern}\n--- stdout\n${output.stdout}\n--- stderr\n${output.stderr}`);
  return {
    write(stream, text) {
      output[stream] += text;
      notify();
    },
    end(code) {
      ended = { code, ...output };
      notify();
      return ended;
    },
    reader: {
      stdout: () => output.stdout,
      stderr: () => output.stderr,
      hasEnded: () => ended !== undefined,
      waitFor(pattern, timeoutMs = 180_000, stream) {
        const streams = stream === undefined ? ["stdout", "stderr"] as const : [stream];
        return new Promise((resolve, reject) => {
          const check = () => {
            const match = streams.map((name) => output[name].match(pattern)).find((found) => found !== null) ?? null;
            if (match === null && ended === undefined) return;
            clearTimeout(timer);
            listeners.delete(check);
            if (match !== null) resolve(match);
            else reject(describe(`ended with ${ended?.code} before`, pattern));
          };
          const timer = setTimeout(() => {
            listeners.delete(check);
            reject(describe(`${timeoutMs} ms passed before`, pattern));
          }, timeoutMs);
          listeners.add(check);
          check();
        });
      },
    },
  };
}
