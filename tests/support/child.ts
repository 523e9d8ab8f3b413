/** Child processes of the tests: our own program, from its sources or as the released file, and its peers. Ended by their own pid only. */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

/** The result of a finished program. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. Disposing it kills it and waits for its end. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /**
   * Resolves with the match once stdout or stderr has it, or the one that is named; rejects when the program ends before
   * or time is up.
   */
  waitFor(pattern: RegExp, timeoutMs?: number, stream?: "stdout" | "stderr"): Promise<RegExpMatchArray>;
  hasEnded(): boolean;
  kill(signal: NodeJS.Signals): void;
  finished(): Promise<Finished>;
}

/** How to start a program. */
export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** The longest time for a program that a test runs to its end, on a machine that does other work too. */
const END_WITHIN_MS = 300_000;

export const ROOT = process.cwd();

/** Flags of Node for sources: none of its warnings, and JSX. */
export const NODE_FLAGS: readonly string[] = [
  "--disable-warning=ExperimentalWarning",
  "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
  `--import=${pathToFileURL(join(ROOT, "scripts", "jsx_on_node.ts"))}`,
];

/**
 * Command and arguments that run tlsboot: the released file that `TLSBOOT_TEST_BINARY` names, or the sources. Those run
 * on the Node that `TLSBOOT_TEST_NODE` names, which the interoperability suite does because the released file runs on
 * Node, else on the runtime of the test. Deno starts the script that `TLSBOOT_TEST_SCRIPT` names, if any, which was made
 * of the sources.
 */
export function tlsbootCommand(args: readonly string[]): readonly [string, readonly string[]] {
  const binary = process.env["TLSBOOT_TEST_BINARY"];
  if (binary !== undefined) return [binary, args];
  const main = join(ROOT, "cli", "main.ts");
  const node = process.env["TLSBOOT_TEST_NODE"];
  if (node === undefined && process.versions["deno"] !== undefined) {
    const script = process.env["TLSBOOT_TEST_SCRIPT"] ?? main;
    return [process.execPath, ["run", "-A", "--no-check", "--quiet", script, ...args]];
  }
  return [node ?? process.execPath, [...NODE_FLAGS, main, ...args]];
}

export function startTlsboot(args: readonly string[], options: StartOptions = {}): Running {
  const [command, all] = tlsbootCommand(args);
  return start(command, all, options);
}

/** Runs tlsboot to its end. */
export async function runTlsboot(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  await using running = startTlsboot(args, options);
  return await awaitEnd(running, ["tlsboot", ...args]);
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

/** A program that should end and does not fails its test, instead of holding up the whole run. */
async function awaitEnd(running: Running, words: readonly string[]): Promise<Finished> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const output = `--- stdout\n${running.stdout()}\n--- stderr\n${running.stderr()}`;
    reject(new Error(`${words.join(" ")}: still running after ${END_WITHIN_MS} ms\n${output}`));
  }, END_WITHIN_MS);
  try {
    return await Promise.race([running.finished(), promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sends a signal by pid while the child lives: on Deno `kill` of the child does nothing once it has sent any signal.
 */
function sendSignal({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(pid, signal);
}

export function start(command: string, args: readonly string[], options: StartOptions = {}): Running {
  const child: ChildProcess = spawn(command, [...args], {
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, NO_COLOR: "1", ...options.env },
  });
  const output = { stdout: "", stderr: "" };
  const listeners = new Set<() => void>();
  const notify = () => {
    for (const listener of [...listeners]) listener();
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      output[name] += chunk.toString("utf8");
      notify();
    });
  }
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.stdin ?? "");
  let ended: Finished | undefined;
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      ended = { code: code ?? (signal === null ? 1 : 128), ...output };
      resolve(ended);
      notify();
    });
  });
  finished.catch(() => {});
  return {
    pid: child.pid ?? 0,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    hasEnded: () => ended !== undefined,
    kill: (signal) => sendSignal(child, signal),
    finished: () => finished,
    waitFor(pattern, timeoutMs = 180_000, stream) {
      const streams = stream === undefined ? ["stdout", "stderr"] as const : [stream];
      return new Promise((resolve, reject) => {
        const check = () => {
          const match = streams.map((name) => output[name].match(pattern)).find((found) => found !== null) ?? null;
          if (match === null && ended === undefined) return;
          clearTimeout(timer);
          listeners.delete(check);
          if (match !== null) resolve(match);
          else reject(new Error(describe(`ended with ${ended?.code} before`, command, args, pattern, output)));
        };
        const timer = setTimeout(() => {
          listeners.delete(check);
          reject(new Error(describe(`${timeoutMs} ms went by before`, command, args, pattern, output)));
        }, timeoutMs);
        listeners.add(check);
        check();
      });
    },
    async [Symbol.asyncDispose]() {
      if (ended === undefined) sendSignal(child, "SIGKILL");
      await finished.catch(() => undefined);
    },
  };
}

function describe(
  what: string,
  command: string,
  args: readonly string[],
  pattern: RegExp,
  output: { stdout: string; stderr: string },
): string {
  return `${command} ${args.join(" ")}: ${what} ${pattern}\n--- stdout\n${output.stdout}\n--- stderr\n${output.stderr}`;
}
