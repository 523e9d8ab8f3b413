/** Runs batches of test files, each in one process, which is killed if it starts no test for too long. */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { stripVTControlCharacters } from "node:util";
import { pathToFileURL } from "node:url";
import { findErrorCode } from "../../core/errors.ts";
import { cacheDir } from "../../scripts/processes.ts";
import { NODE_FLAGS, ROOT } from "../support/child.ts";
import { createFailure, type Outcome, readOutcome } from "./junit.ts";

/** Runs a script with tests in one process, and writes a JUnit report. */
export interface Runtime {
  /** The runtime of the tests, or `File` for tests that start the released file. */
  readonly name: "Node" | "Deno" | "File";
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly args: (script: string, report: string) => readonly string[];
}

/** Test files for one process. */
export interface Batch {
  readonly runtime: Runtime;
  readonly files: readonly string[];
  /** Whether another batch, perhaps of another suite, runs the same tests, so that these are not counted. */
  readonly isRepeat?: boolean;
}

/** The result of a batch. */
export interface BatchResult extends Batch {
  readonly outcome: Outcome;
  /** Everything that the process printed. */
  readonly output: string;
  readonly seconds: number;
  /** The processor time of the process and of all programs that it started and waited for; 0 if it was killed. */
  readonly cpuSeconds: number;
}

/** Creates the runtime of a Node executable, with additional environment variables for the tests. */
export function node(command: string, env: Readonly<Record<string, string>> = {}): Runtime {
  return {
    name: "Node",
    command,
    // Loading modules is half of a process's work unless an earlier process has compiled them.
    env: { NODE_COMPILE_CACHE: join(cacheDir(), "compiled-tests"), ...env },
    args: (script, report) => [
      ...NODE_FLAGS,
      `--import=${pathToFileURL(join(ROOT, "tests/runner/announce.ts"))}`,
      ...["--test-reporter=junit", `--test-reporter-destination=${report}`, script],
    ],
  };
}

/** Creates the runtime of the Deno that runs this program. */
export function deno(env: Readonly<Record<string, string>> = {}): Runtime {
  return {
    name: "Deno",
    command: process.execPath,
    env,
    args: (script, report) => [
      ...["test", "--config=deno.json", "-A", "--no-check", "--preload=tests/runner/rejections.ts"],
      ...[`--junit-path=${report}`, script],
    ],
  };
}

/**
 * Runs batches, `lanes` at a time, and calls `onEnd` after each. A batch that starts no test for `silentMs` is killed
 * with all its programs and fails with the name of the running test.
 */
export async function runBatches(
  batches: readonly Batch[],
  { folder, lanes, silentMs, onEnd }: {
    readonly folder: string;
    readonly lanes: number;
    readonly silentMs: number;
    readonly onEnd: (result: BatchResult) => void;
  },
): Promise<readonly BatchResult[]> {
  const results: BatchResult[] = [];
  const waiting = batches.entries();
  const lane = async () => {
    for (const [index, batch] of waiting) {
      const result = await runBatch(batch, join(folder, String(index)), silentMs);
      results.push(result);
      onEnd(result);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

/** A shell script that ignores SIGUSR2, runs a command and writes its processor time to the file in `$0`. */
const TIMED = 'trap "" USR2; "$@"; code=$?; times > "$0"; exit $code';

async function runBatch(batch: Batch, path: string, silentMs: number): Promise<BatchResult> {
  const [script, report, times] = [`${path}.ts`, `${path}.xml`, `${path}.times`];
  // One script imports all files, because Deno reloads all modules for each file on its command line.
  await writeFile(script, batch.files.map((file) => `import "${pathToFileURL(join(ROOT, file))}";\n`).join(""));
  const start = performance.now();
  const { command, args, env } = batch.runtime;
  const words = ["-c", TIMED, times, command, ...args(script, report)];
  const { code, output, isSilent, lastSign } = await runUntilSilent("/bin/sh", words, env, { silentMs, sign: STARTED });
  // `announce.ts` prints this at SIGUSR2, unless the event loop is blocked.
  const [waiting = "it did not say what it waits for"] = /^it waits for .*$/m.exec(output) ?? [];
  const outcome = isSilent
    ? createFailure(
      lastSign ?? "no test had started",
      `it ran for more than ${silentMs / 1000} s, and was killed with its programs; ${waiting}`,
    )
    : await readOutcome(report, code);
  return {
    ...batch,
    outcome,
    output,
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: isSilent ? 0 : parseCpuSeconds(await readFile(times, "utf8")),
  };
}

/** How long a hanging process has to print what it waits for. */
const REPORT_MS = 5_000;

/** The shortest limit for a program's first sign, because loading takes long on a busy machine. */
const LOADED_WITHIN_MS = 120_000;

/** The line that both runtimes print when a test starts: its name and three dots. */
const STARTED = /^ *(.*\S) \.\.\.(?: |$)/gm;

/** How a program ended, and everything that it printed. */
interface ProgramEnd {
  readonly code: number;
  readonly output: string;
  readonly isSilent: boolean;
  /** The first group of the last sign that it continues. */
  readonly lastSign: string | undefined;
}

/**
 * Runs a program in its own process group. Once it has given no sign that it continues for `silentMs`, by default any
 * output, its group gets SIGUSR2 and is then killed.
 */
export function runUntilSilent(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { silentMs, sign = /^/gm, onOutput = () => {} }: {
    readonly silentMs: number;
    readonly sign?: RegExp;
    readonly onOutput?: (text: string) => void;
  },
): Promise<ProgramEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", ...env },
      detached: true,
    });
    let output = "";
    let isSilent = false;
    let lastSign: string | undefined;
    const kill = (signal: "SIGKILL" | "SIGTERM" | "SIGCONT" | "SIGUSR2"): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch (error) {
        // The programs have already ended.
        if (findErrorCode(error) !== "ESRCH") throw error;
      }
    };
    // An interrupted run terminates its programs. A runner among them forwards this to its own groups, and a program
    // that a test has stopped receives SIGTERM only when it continues.
    const interrupt = (): void => {
      kill("SIGTERM");
      kill("SIGCONT");
    };
    process.once("exit", interrupt);
    const onSilence = (): void => {
      isSilent = true;
      kill("SIGUSR2");
      timer = setTimeout(kill, REPORT_MS, "SIGKILL");
    };
    let timer = setTimeout(onSilence, Math.max(silentMs, LOADED_WITHIN_MS));
    for (const stream of [child.stdout, child.stderr]) {
      let line = "";
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk;
        onOutput(chunk);
        // A chunk may end within a line.
        line += stripVTControlCharacters(chunk);
        const found = [...line.matchAll(sign)].at(-1);
        line = found === undefined ? line.slice(line.lastIndexOf("\n") + 1) : "";
        if (isSilent || found === undefined) return;
        lastSign = found[1];
        clearTimeout(timer);
        timer = setTimeout(onSilence, silentMs);
      });
    }
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      // The program may have ended without its children.
      if (isSilent) kill("SIGKILL");
      process.off("exit", interrupt);
      resolve({ code: code ?? 1, output, isSilent, lastSign });
    });
  });
}

/** Adds up the user and system time of a shell's children, the second line of `times`: `1m2.5s 0m0.25s`. */
function parseCpuSeconds(times: string): number {
  const parts = [...(times.split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  if (parts.length !== 2) throw new Error(`cannot parse the times that the shell printed: ${times}`);
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}
