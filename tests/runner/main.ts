/**
 * Runs a suite of tests and adds up the results.
 *
 * - `unit` needs only Node and npm. Everything runs on Node. Tests of code that differs between runtimes, and some
 *   end-to-end tests, also run on Deno. `--full` runs everything on both, and every end-to-end and security test with
 *   the released file.
 * - `file` runs the tests of the released file, and some end-to-end tests with it.
 * - `interop` needs a real Kubernetes, `packages` builds, installs and uses the packages and images, and `programs`
 *   runs further third-party programs; `times` measures. `--changed` skips tests that the change since `.ci/base` does
 *   not need; `--full` adds tests that only `.ci/full` runs, and the longer form of some tests.
 *
 * No test is retried. A test that takes far too long is killed with its batch, and reported by name.
 * Usage: main.ts SUITE [--full] [--changed] [--binary] [--timings] [--report FILE] [words…]
 */
import { existsSync, readFileSync } from "node:fs";
import { glob, mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureNode, ensureReleasedFile } from "../../scripts/build/node_runtime.ts";
import { type Batch, type BatchResult, deno, node, runBatches, type Runtime } from "./batch.ts";
import {
  findNeeded,
  GROUPS,
  importsFile,
  INTEROP_CORE,
  INTEROP_FULL,
  listChanges,
  SMOKE,
  SUITES,
  toInteropFile,
} from "./suites.ts";
import { formatFailures, type NamedText } from "./junit.ts";

/** A file that imports this module starts programs, or runs tlsboot in its process, and waits for them. */
const STARTS_PROGRAMS = "tests/support/child.ts";

/** A file that imports this module can share a control plane with others in its process. */
const SHARES_PEERS = "tests/support/interop/shared.ts";

/** Where the released files are built. */
const DIST = join(process.cwd(), "dist");

/** How many lines of each failure are printed at the end. */
const LINES_PER_FAILURE = 20;

/**
 * The number of files that share a process. A process for each file would take twice as long: loading the server and all
 * commands takes 2 s.
 */
const QUICK_PER_BATCH = 120;
const SLOW_PER_BATCH = { unit: 13, interop: 8 };

/**
 * The number of parallel processes per core. Tests of the interoperability suite mostly wait for programs to start.
 * With more processes, programs on a slow machine exceed the time limits of the tests.
 */
const LANES_PER_CORE = { quick: 1.5, interop: 3 };

/** How long a batch may run without starting a test: far longer than the slowest test on a slow machine. */
const SILENT_MS = { quick: 300_000, interop: 1_200_000 };

interface Options {
  readonly isFull: boolean;
  readonly isChanged: boolean;
  readonly isBinary: boolean;
  readonly words: readonly string[];
}

async function main(): Promise<number> {
  const { values, positionals: [suite = "unit", ...words] } = parseArgs({
    options: {
      binary: { type: "boolean", default: false },
      changed: { type: "boolean", default: false },
      full: { type: "boolean", default: false },
      report: { type: "string" },
      timings: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  if (SUITES[suite] === undefined) throw new Error(`no suite is called ${suite}; there are ${Object.keys(SUITES)}`);
  const options = { isFull: values.full, isChanged: values.changed, isBinary: values.binary, words };
  const batches = await plan(suite, options);
  if (batches.length === 0) throw new Error(`no file of the suite ${suite} has ${words.join(", ")} in its path`);
  const kind = suite === "unit" || suite === "file" ? "quick" : "interop";
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-test-"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  try {
    let ended = 0;
    const results = await runBatches(batches, {
      folder,
      lanes: Math.max(1, Math.floor(availableParallelism() * LANES_PER_CORE[kind])),
      silentMs: SILENT_MS[kind],
      onEnd(result) {
        if (result.outcome.failures.length > 0) process.stdout.write(result.output);
        process.stdout.write(`${++ended}/${batches.length} ${formatResult(result)}\n`);
      },
    });
    if (values.timings) process.stdout.write(formatTimings(results));
    const summary = summarize(results);
    if (values.report !== undefined) await writeFile(values.report, JSON.stringify(summary));
    process.stdout.write(formatFailures(results.flatMap(({ outcome }) => outcome.failures), LINES_PER_FAILURE));
    process.stdout.write(summary.skipped.map(({ name, text }) => `skipped: ${name}: ${text}\n`).join(""));
    const { passed, repeated, failed, skipped } = summary;
    process.stdout.write(
      `${suite}: ${passed} passed, ${failed} failed, ${skipped.length} skipped; ` +
        `${repeated} repeated on another runtime\n`,
    );
    return failed === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function plan(suite: string, options: Options): Promise<readonly Batch[]> {
  if (suite === "unit") return planUnit(options);
  if (suite === "file") return planFile(options);
  return planPeers(suite, options);
}

/** Plans everything on Node, after the tests that Deno repeats, whose batches take longest. */
async function planUnit({ isFull, words }: Options): Promise<readonly Batch[]> {
  const files = await findFiles(SUITES["unit"] ?? [], words);
  const repeated = files.filter((file) => isFull || SMOKE.includes(file) || dependsOnRuntime(file));
  return [
    ...split(deno(createFullEnv(isFull)), repeated).map(repeat),
    ...split(node(await ensureNode(), createFullEnv(isFull)), files),
  ];
}

/** Plans the tests of the released file for all targets, and the end-to-end tests with it. */
async function planFile({ isFull, words }: Options): Promise<readonly Batch[]> {
  const own = await findFiles(SUITES["file"] ?? [], words);
  const endToEnd = (await findFiles(["tests/e2e/*_test.ts", "tests/security/*_test.ts"], words))
    .filter((file) => isFull ? importsFile(file, STARTS_PROGRAMS) : SMOKE.includes(file));
  if (own.length + endToEnd.length === 0) return [];
  const env = { TLSBOOT_TEST_BINARY: await ensureReleasedFile("all", DIST), ...createFullEnv(isFull) };
  return [
    ...split({ ...deno(env), name: "File" }, own),
    ...split({ ...node(await ensureNode(), env), name: "File" }, endToEnd).map(repeat),
  ];
}

/**
 * Plans a suite that needs third-party programs. The servers run on Node, as in the released file, or are the released
 * file.
 */
async function planPeers(suite: string, { isFull, isChanged, isBinary, words }: Options): Promise<readonly Batch[]> {
  const found = await findFiles(SUITES[suite] ?? [], words);
  const needed = isChanged ? findNeeded(listChanges()).interop : undefined;
  const isChosen = (file: string): boolean => {
    if (suite !== "interop" || words.length > 0 || isFull) return true;
    if (needed !== undefined) return needed.includes(file);
    return !INTEROP_FULL.map(toInteropFile).includes(file);
  };
  const order = [...INTEROP_CORE, ...GROUPS.flatMap(({ interop }) => interop)].map(toInteropFile);
  const rank = (file: string): number => order.includes(file) ? order.indexOf(file) : -1;
  const files = found.filter(isChosen).toSorted((a, b) => rank(a) - rank(b));
  const executable = await ensureNode();
  const env = {
    TLSBOOT_TEST_NODE: executable,
    ...(isBinary ? { TLSBOOT_TEST_BINARY: await ensureReleasedFile("host", DIST) } : {}),
    ...createFullEnv(isFull),
  };
  // The scripts that build packages run on Deno.
  const runtime = suite === "packages" ? deno(createFullEnv(isFull)) : node(executable, env);
  const shared = files.filter((file) => importsFile(file, SHARES_PEERS));
  const alone = files.filter((file) => !shared.includes(file));
  return [...deal(shared, SLOW_PER_BATCH.interop), ...alone.map((file) => [file])].map((files) => ({
    runtime,
    files,
  }));
}

function repeat(batch: Batch): Batch {
  return { ...batch, isRepeat: true };
}

/** Returns the environment that makes some tests run in their longer form. */
function createFullEnv(isFull: boolean): Readonly<Record<string, string>> {
  return isFull ? { TLSBOOT_TEST_FULL: "1" } : {};
}

/**
 * The modules that Node and Deno implement differently. In tests, files do not count, because they may serve as set-up
 * only.
 */
const DIFFERENT_IN_TESTS = /^(?:crypto|http2?|https|net|sqlite|tls)$/;
const DIFFERENT_IN_PRODUCT = /^(?:child_process|crypto|fs|http2?|https|net|sqlite|stream|tls|zlib)$/;

/** The names in these modules that behave the same on both, such as digests, random bytes and address checks. */
const SAME = /^(?:type \w+|createHash|createHmac|hash|isIP\w*|random\w+|timingSafeEqual|)$/;

/** Reports whether a test, or the file that it tests, uses a module that differs between runtimes. */
function dependsOnRuntime(file: string): boolean {
  if (/^(?:tests|scripts)\//.test(file)) return /^tests\/(?:contract|runner)\//.test(file);
  const tested = file.replace(/_test\.(tsx?)$/, ".$1");
  return usesDifferent(file, DIFFERENT_IN_TESTS) || existsSync(tested) && usesDifferent(tested, DIFFERENT_IN_PRODUCT);
}

function usesDifferent(file: string, modules: RegExp): boolean {
  const found = readFileSync(file, "utf8").matchAll(/^import (?!type )\{?([^;]*?)\}? from "node:(\w+)/gm);
  return [...found].some(([, names = "", module = ""]) =>
    modules.test(module) && names.split(",").some((name) => !SAME.test(name.trim()))
  );
}

/** Splits files into batches, the slow ones first, because they wait for programs. */
function split(runtime: Runtime, files: readonly string[]): readonly Batch[] {
  const isSlow = (file: string): boolean => file.startsWith("tests/") && importsFile(file, STARTS_PROGRAMS);
  return [
    ...deal(files.filter(isSlow), SLOW_PER_BATCH.unit),
    ...deal(files.filter((file) => !isSlow(file)), QUICK_PER_BATCH),
  ].map((files) => ({ runtime, files }));
}

/** Deals files out to batches of at most `size` files, so that slow neighbours are in different batches. */
function deal(files: readonly string[], size: number): readonly (readonly string[])[] {
  const count = Math.ceil(files.length / size);
  return Array.from({ length: count }, (_, at) => files.filter((_, index) => index % count === at));
}

/** The results of the tests of a suite. */
export interface Summary {
  /** The tests that passed, each counted once. */
  readonly passed: number;
  /** The tests that passed on another runtime too. */
  readonly repeated: number;
  readonly failed: number;
  /** The tests that were skipped on any runtime, whose name comes first. */
  readonly skipped: readonly NamedText[];
}

function summarize(results: readonly BatchResult[]): Summary {
  const first = results.filter(({ isRepeat = false }) => !isRepeat);
  const sum = (some: readonly BatchResult[]): number => some.reduce((total, { outcome }) => total + outcome.passed, 0);
  return {
    passed: sum(first),
    repeated: sum(results) - sum(first),
    failed: results.reduce((total, { outcome }) => total + outcome.failures.length, 0),
    skipped: results.flatMap(({ runtime, outcome }) =>
      outcome.skipped.map(({ name, text }) => ({ name: `${runtime.name} ${name}`, text }))
    ),
  };
}

function formatResult({ runtime, files, outcome, seconds, cpuSeconds }: BatchResult): string {
  const [first = ""] = files;
  const name = files.length === 1 ? first : `${first} and ${files.length - 1} more`;
  const counts = `${outcome.passed} passed, ${outcome.failures.length} failed`;
  return `${runtime.name} ${name}: ${counts}, ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU`;
}

/** Lists the batches that took longest and those that took most processor time, and the total. */
function formatTimings(results: readonly BatchResult[]): string {
  const list = (by: "seconds" | "cpuSeconds") =>
    [...results].sort((a, b) => b[by] - a[by]).slice(0, 20).map((result) => `  ${formatResult(result)}\n`).join("");
  const sum = results.reduce((total, { cpuSeconds }) => total + cpuSeconds, 0);
  return `The slowest:\n${list("seconds")}The most CPU, of ${sum.toFixed(0)} s in all:\n${list("cpuSeconds")}`;
}

/** Finds the files of some patterns whose paths contain one of the words; without words, all of them. */
async function findFiles(patterns: readonly string[], words: readonly string[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const pattern of patterns) for await (const file of glob(pattern)) files.push(file);
  return files.filter((file) => words.length === 0 || words.some((word) => file.includes(word))).sort();
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
