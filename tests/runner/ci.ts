/**
 * Runs the steps of `.ci/run`, or with `--full` those of `.ci/full`. The second-to-last line counts the skipped tests;
 * the last line is "N passed, N failed". `.ci/full` gives tests with random values a new seed, prints it, and writes it
 * with its counts to `dist/full.json`; with `TLSBOOT_TEST_SEED=N` it uses the seed N.
 */
import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { createTempFolder } from "../support/temp.ts";
import { runUntilSilent } from "./batch.ts";
import type { Summary } from "./main.ts";
import { STEPS } from "./steps.ts";
import { findNeeded, listChanges, SUITE_NAMES } from "./suites.ts";

/** The longest time that a step may print nothing before it is killed. */
const SILENT_MS = 1_500_000;

/** How many lines of a failed step are printed again at the end. */
const LINES_PER_STEP = 80;

interface StepResult {
  readonly name: string;
  readonly isFailed: boolean;
  readonly output: string;
  readonly summary: Partial<Summary>;
}

async function main(isFull: boolean): Promise<number> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  if (isFull) print(`TLSBOOT_TEST_SEED=${process.env["TLSBOOT_TEST_SEED"] ??= String(randomInt(2 ** 31))}\n`);
  const needed = findNeeded(listChanges()).steps;
  const results: StepResult[] = [];
  for (const { name, run, full = run, group } of STEPS) {
    const task = isFull ? full : group === undefined || needed.includes(name) ? run : undefined;
    if (task !== undefined) results.push(await runStep(name, task.split(" ")));
  }
  const add = (count: (result: StepResult) => number): number => results.reduce((sum, one) => sum + count(one), 0);
  const passed = add(({ summary }) => summary.passed ?? 0);
  // A step that failed counts as one failure, in addition to those of its tests.
  const failed = add(({ summary, isFailed }) => (summary.failed ?? 0) + Number(isFailed));
  if (isFull) await writeFull(results, passed, failed);
  for (const { name, output } of results.filter(({ isFailed }) => isFailed)) {
    print(`!! the end of ${name}:\n${output.split("\n").slice(-LINES_PER_STEP).join("\n")}\n`);
  }
  const skipped = results.flatMap(({ summary }) => summary.skipped ?? []);
  const reasons = skipped.map(({ name, text }) => `${name} (${text})`).join("; ");
  print(`${skipped.length} skipped${reasons === "" ? "" : `: ${reasons}`}\n${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

/** Runs a task. If it is a suite, it must write a report of its counts. */
async function runStep(name: string, task: readonly string[]): Promise<StepResult> {
  print(`== ${name}\n`);
  await using folder = await createTempFolder("tlsboot-ci-");
  const report = folder.join("report.json");
  const isSuite = SUITE_NAMES.includes(task[0] ?? "");
  const args = ["task", ...task, ...(isSuite ? ["--report", report] : [])];
  const start = performance.now();
  const end = await runUntilSilent(process.execPath, args, {}, { silentMs: SILENT_MS, onOutput: print });
  const killed = end.isSilent ? " and was killed, because it printed nothing" : "";
  print(`== ${name} took ${((performance.now() - start) / 1000).toFixed(0)} s${killed}\n`);
  const summary = isSuite ? JSON.parse(await readFile(report, "utf8").catch(() => "null")) : {};
  return { name, isFailed: end.code !== 0 || summary === null, output: end.output, summary: summary ?? {} };
}

/** Writes what a release requires of `.ci/full`. */
async function writeFull(results: readonly StepResult[], passed: number, failed: number): Promise<void> {
  const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
  const full = {
    commit: git("rev-parse", "HEAD"),
    isClean: git("status", "--porcelain") === "",
    date: new Date().toISOString(),
    seed: process.env["TLSBOOT_TEST_SEED"],
    ...{ passed, failed },
    steps: Object.fromEntries(results.map(({ name, isFailed, summary }) => [name, { isFailed, ...summary }])),
  };
  await mkdir("dist", { recursive: true });
  await writeFile("dist/full.json", `${JSON.stringify(full, undefined, 2)}\n`);
}

function print(text: string): void {
  process.stdout.write(text);
}

main(process.argv.includes("--full")).then((code) => process.exit(code), (error: unknown) => {
  print(`${error instanceof Error ? error.stack : String(error)}\n0 passed, 1 failed\n`);
  process.exit(1);
});
