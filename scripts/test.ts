/**
 * Runs suites on Deno and on Node 24 and sums what their reports say.
 *
 * `deno task test` runs everything that needs only npm; `deno task interop` the suite against a real Kubernetes, `deno
 * task programs` every program of others that the latter tries a few of, `deno task packages` what is handed out: built,
 * installed, used. With `--binary` tlsboot is the released file, built first:
 * the end-to-end and security tests and those of the file itself, or the suite against a real Kubernetes.
 * Usage: test.ts unit|interop|programs|packages [--binary] [--report FILE] [filter…]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { glob } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { NODE_FLAGS } from "../tests/support/child.ts";
import { type Outcome, readOutcome, sumOf, tellFailures } from "./_junit.ts";
import { run, runAside } from "./_run.ts";
import { runBuild } from "./build/run.ts";
import { ensureNode } from "./node_runtime.ts";

const UNIT = [
  "core/**/*_test.ts",
  "server/**/*_test.ts",
  "client/**/*_test.ts",
  "cli/**/*_test.ts",
  "scripts/**/*_test.ts",
  "tests/*_test.ts",
  "tests/contract/*_test.ts",
  "tests/overload/*_test.ts",
  "tests/e2e/*_test.ts",
  "tests/security/*_test.ts",
  // How answers are read, cut down and compared needs no Kubernetes.
  "tests/interop/comparison/*_test.ts",
  "tests/interop/differential/*_test.ts",
];

/** The files of each suite. */
const SUITES: Readonly<Record<string, readonly string[]>> = {
  unit: UNIT,
  interop: ["tests/interop/*_test.ts"],
  packages: ["tests/packages/*_test.ts"],
  programs: ["tests/interop/programs_test.ts"],
};
/** Of the unit suite with the released file. */
const BINARY = ["tests/binary/*_test.ts", "tests/e2e/*_test.ts", "tests/security/*_test.ts"];

/** What is shown again of each failure at the end. */
const LINES_EACH = 20;

/** Files that wait for minutes: each runs in a process of its own while the rest of its suite runs. */
const LONG = [
  "tests/interop/clock_test.ts",
  "tests/interop/disk_fault_backup_test.ts",
  "tests/interop/disk_fault_client_test.ts",
  "tests/interop/disk_fault_test.ts",
  "tests/interop/kubelet_rotation_test.ts",
  "tests/interop/soak_test.ts",
  "tests/interop/tls_scan_test.ts",
  "tests/interop/whole_kubelet_test.ts",
];

async function main(): Promise<number> {
  const { values, positionals: [suite = "unit", ...filters] } = parseArgs({
    options: { binary: { type: "boolean", default: false }, report: { type: "string" } },
    allowPositionals: true,
  });
  const isInterop = suite === "interop" || suite === "programs";
  const patterns = values.binary && suite === "unit" ? BINARY : SUITES[suite];
  if (patterns === undefined) throw new Error(`no suite is called ${suite}; there are ${Object.keys(SUITES)}`);
  const files = (await filesOf(patterns)).filter((file) =>
    filters.length === 0 || filters.some((filter) => file.includes(filter))
  );
  if (files.length === 0) throw new Error(`no file of the suite ${suite} has ${filters.join(", ")} in its path`);
  const reports = await mkdtemp(join(tmpdir(), "tlsboot-test-"));
  try {
    const outcomes: Outcome[] = [];
    // The released file runs on Node, and so do the servers that stock programs are set before.
    if (isInterop) process.env["TLSBOOT_TEST_NODE"] = await ensureNode();
    // The tests of the file look at all targets.
    if (values.binary) {
      process.env["TLSBOOT_TEST_BINARY"] = await runBuild(isInterop ? "host" : "all", join(process.cwd(), "dist"));
    }
    outcomes.push(announce("Deno", await runInLanes(files, onDeno(reports))));
    if (suite === "unit" && !values.binary) {
      outcomes.push(announce("Node", await runInLanes(files, onNode(await ensureNode(), reports))));
    }
    const { passed, failed, failures } = sumOf(outcomes);
    if (values.report !== undefined) await writeFile(values.report, JSON.stringify({ passed, failed }));
    process.stdout.write(tellFailures(failures, LINES_EACH));
    process.stdout.write(`${suite}${values.binary ? "-binary" : ""}: ${passed} passed, ${failed} failed\n`);
    return failed === 0 ? 0 : 1;
  } finally {
    await rm(reports, { recursive: true, force: true });
  }
}

/** A process that runs files of tests and writes a report. */
interface Runner {
  readonly command: string;
  readonly args: (files: readonly string[], lane: number) => readonly string[];
  readonly report: (lane: number) => string;
}

function onDeno(reports: string): Runner {
  const report = (lane: number) => join(reports, `deno-${lane}.xml`);
  return {
    command: process.execPath,
    args: (files, lane) => ["test", "-A", "--no-check", "--quiet", `--junit-path=${report(lane)}`, ...files],
    report,
  };
}

/** All files of a lane in one process, as on Deno: a process for each file takes twice as long. */
function onNode(command: string, reports: string): Runner {
  const report = (lane: number) => join(reports, `node-${lane}.xml`);
  return {
    command,
    args: (files, lane) => [
      "--test",
      "--test-isolation=none",
      ...NODE_FLAGS,
      "--test-reporter=dot",
      "--test-reporter-destination=stdout",
      "--test-reporter=junit",
      `--test-reporter-destination=${report(lane)}`,
      ...files,
    ],
    report,
  };
}

/**
 * Most tests wait most of the time, so that files run in two lanes side by side, a process each, and the long ones in
 * one of their own. The terminal belongs to the first lane; the others are shown when they have ended.
 */
async function runInLanes(files: readonly string[], { command, args, report }: Runner): Promise<Outcome> {
  const [first = [], ...others] = lanesOf(files);
  const aside = others.map((lane, index) => runAside(command, args(lane, index + 1)));
  const codes = [await run(command, args(first, 0))];
  for (const { code, output } of await Promise.all(aside)) {
    process.stdout.write(output);
    codes.push(code);
  }
  return sumOf(await Promise.all(codes.map((code, lane) => readOutcome(report(lane), code))));
}

function lanesOf(files: readonly string[]): readonly (readonly string[])[] {
  const short = files.filter((file) => !LONG.includes(file));
  return [
    ...[0, 1].map((lane) => short.filter((_, index) => index % 2 === lane)),
    ...files.filter((file) => LONG.includes(file)).map((file) => [file]),
  ].filter((lane) => lane.length > 0);
}

async function filesOf(patterns: readonly string[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const pattern of patterns) for await (const file of glob(pattern)) files.push(file);
  return files.sort();
}

function announce(runtime: string, outcome: Outcome): Outcome {
  process.stdout.write(`\n${runtime}: ${outcome.passed} passed, ${outcome.failed} failed\n`);
  return outcome;
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
