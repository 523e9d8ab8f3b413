/** Runs the mutants of one room, each in its own process, on the tests that reach it. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { cacheDir } from "../../scripts/processes.ts";
import { NODE_FLAGS } from "../support/child.ts";
import type { Mutant } from "./mutate.ts";
import type { MeasuredTest, Request } from "./worker.ts";

/**
 * Tests hang if they wait, or compute, for this time and a multiple of their usual time. Both are measured so that a
 * busy machine makes no difference.
 */
const HANG_MS = 10_000;
const HANG_FACTOR = 2;

/** The limit for the tests of a file without a mutant. */
const BASELINE_LIMIT_MS = 120_000;

/** The folder of the tests' files: in memory if possible, because a disk takes milliseconds for each commit. */
const TMPDIR = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Returns the mutants that no test finds, and the results of the tests without a mutant. */
export async function runRoom(
  mutants: readonly Mutant[],
  changed: Request["changed"],
  testFiles: readonly string[],
): Promise<{ readonly survivors: readonly Mutant[]; readonly tests: readonly MeasuredTest[] }> {
  const tests: MeasuredTest[] = [];
  await runInLanes(testFiles, async (file) => {
    const measured = await runWorker({ changed, files: [{ file }], limitMs: BASELINE_LIMIT_MS });
    if (measured === undefined) throw new Error(`cannot run ${file} without a mutant`);
    tests.push(...measured);
  });
  // Tests that fail without a mutant are not used. The fastest come first.
  const usable = tests.filter(({ fault }) => fault === undefined).sort((a, b) => a.ms - b.ms);
  const survivors: Mutant[] = [];
  await runInLanes(mutants, async (mutant) => {
    const reaching = usable.filter(({ reached }) => reached.has(mutant.id));
    const files = [...Map.groupBy(reaching, ({ file }) => file)]
      .map(([file, own]) => ({ file, tests: own.map(({ index }) => index) }));
    const limitMs = HANG_MS + HANG_FACTOR * Math.ceil(reaching.reduce((sum, { ms }) => sum + ms, 0));
    if (await runWorker({ changed, mutant: mutant.id, files, limitMs }) !== undefined) survivors.push(mutant);
  });
  return { survivors: survivors.sort((a, b) => a.id - b.id), tests };
}

/** Runs a worker; returns undefined if a test fails with the mutant, or if the worker fails or exceeds its limit. */
async function runWorker(request: Request): Promise<readonly MeasuredTest[] | undefined> {
  const child = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), {
    // The shell limits the processor time. The worker itself limits the time that it waits.
    execPath: "sh",
    execArgv: [
      ...["-c", `ulimit -t ${Math.ceil(request.limitMs / 1_000)}; exec "$0" "$@"`],
      ...[process.execPath, ...NODE_FLAGS, "--no-warnings"],
    ],
    env: { ...process.env, NODE_COMPILE_CACHE: join(cacheDir(), "mutants"), TMPDIR },
    stdio: ["ignore", "ignore", request.mutant === undefined ? "inherit" : "ignore", "ipc"],
    serialization: "advanced",
  });
  let measured: readonly MeasuredTest[] | undefined;
  child.once("message", (message: readonly MeasuredTest[]) => measured = message);
  child.send(request);
  await once(child, "close");
  return measured;
}

/** Calls a function with each value, with as many calls in parallel as there are processors. */
async function runInLanes<T>(values: readonly T[], act: (value: T) => Promise<void>): Promise<void> {
  const queue = values.values();
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (const value of queue) await act(value);
  }));
}
