/**
 * Runs the steps of `.ci/run`, or with `--full` those of `.ci/full`. A step that mostly waits runs in parallel with the
 * next one. The second-to-last line counts the skipped tests; the last line is "N passed, N failed". `.ci/full` gives
 * tests with random values a new seed, prints it, and writes it with its counts to `dist/full.json`; with
 * `TLSBOOT_TEST_SEED=N` it uses the seed N.
 */
import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { runUntilSilent } from "./batch.ts";
import { findNeeded, listChanges } from "./suites.ts";
import type { Summary } from "./main.ts";
import { type Step, STEPS } from "./steps.ts";

/** The longest time that a step may print nothing before it is killed. */
const SILENT_MS = 1_500_000;

/** How many lines of a failed step are printed again at the end. */
const LINES_PER_STEP = 80;

interface StepResult {
  readonly step: Step;
  readonly isFailed: boolean;
  readonly output: string;
  readonly summary: Summary | undefined;
}

async function main(isFull: boolean): Promise<number> {
  if (isFull) {
    const seed = process.env["TLSBOOT_TEST_SEED"] ??= String(randomInt(2 ** 31));
    process.stdout.write(`TLSBOOT_TEST_SEED=${seed}\n`);
  }
  const needed = findNeeded(listChanges()).steps;
  const steps = STEPS.filter(({ name, only, isByPath = false }) =>
    isFull ? only !== "run" : only !== "full" && (!isByPath || needed.includes(name))
  );
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-ci-"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  try {
    const results: StepResult[] = [];
    const parallel: Promise<StepResult>[] = [];
    for (const step of steps) {
      if (step.isParallel) {
        parallel.push(runStep(step, folder, () => {}));
        continue;
      }
      process.stdout.write(`== ${step.name}\n`);
      results.push(await runStep(step, folder, (text) => process.stdout.write(text)));
      for (const result of await Promise.all(parallel.splice(0))) {
        process.stdout.write(`== ${result.step.name}\n${result.output}`);
        results.push(result);
      }
    }
    if (isFull) await writeFull(results);
    return printEnd(results);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runStep(step: Step, folder: string, onOutput: (text: string) => void): Promise<StepResult> {
  const report = join(folder, `${step.name}.json`);
  const args = ["task", ...step.task, ...(step.hasReport ? ["--report", report] : [])];
  const start = performance.now();
  const { code, output, isSilent } = await runUntilSilent(process.execPath, args, {}, {
    silentMs: SILENT_MS,
    onOutput,
  });
  const suffix = isSilent ? " and was killed, because it printed nothing" : "";
  onOutput(`== ${step.name} took ${((performance.now() - start) / 1000).toFixed(0)} s${suffix}\n`);
  const summary = step.hasReport ? JSON.parse(await readFile(report, "utf8").catch(() => "null")) : undefined;
  return { step, isFailed: code !== 0 || summary === null, output, summary: summary ?? undefined };
}

/** Adds up the counts. A step that failed counts as one failure, in addition to those of its tests. */
function sum(results: readonly StepResult[]): { readonly passed: number; readonly failed: number } {
  const add = (count: (result: StepResult) => number): number => results.reduce((all, one) => all + count(one), 0);
  return {
    passed: add(({ summary }) => summary?.passed ?? 0),
    failed: add(({ summary, isFailed }) => (summary?.failed ?? 0) + (isFailed ? 1 : 0)),
  };
}

async function writeFull(results: readonly StepResult[]): Promise<void> {
  const git = (...args: readonly string[]): string => execFileSync("git", [...args], { encoding: "utf8" }).trim();
  const full = {
    commit: git("rev-parse", "HEAD"),
    isClean: git("status", "--porcelain") === "",
    date: new Date().toISOString(),
    seed: process.env["TLSBOOT_TEST_SEED"],
    ...sum(results),
    steps: Object.fromEntries(results.map(({ step, isFailed, summary }) => [step.name, { isFailed, ...summary }])),
  };
  await mkdir("dist", { recursive: true });
  await writeFile("dist/full.json", `${JSON.stringify(full, undefined, 2)}\n`);
}

/** Prints the last lines of each failed step, the skipped tests, and the counts. */
function printEnd(results: readonly StepResult[]): number {
  for (const { step, output } of results.filter(({ isFailed }) => isFailed)) {
    process.stdout.write(`!! the end of ${step.name}:\n${output.split("\n").slice(-LINES_PER_STEP).join("\n")}\n`);
  }
  const skipped = results.flatMap(({ summary }) => summary?.skipped ?? []);
  const reasons = skipped.map(({ name, text }) => `${name} (${text})`).join("; ");
  process.stdout.write(`${skipped.length} skipped${reasons === "" ? "" : `: ${reasons}`}\n`);
  const { passed, failed } = sum(results);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

main(process.argv.includes("--full")).then((code) => process.exit(code), (error: unknown) => {
  process.stdout.write(`${error instanceof Error ? error.stack : String(error)}\n0 passed, 1 failed\n`);
  process.exit(1);
});
