/**
 * Runs a suite of tests and adds up the results.
 *
 * - `test` needs only Node and npm. Everything runs on Node. Tests of code that differs between runtimes, and some
 *   end-to-end tests, also run on Deno. `--full` runs everything on both.
 * - `file` runs the tests of the released file, and some end-to-end tests with it; with `--full`, every end-to-end and
 *   security test that starts programs.
 * - `interop` needs a real Kubernetes, `packages` builds, installs and uses the packages and images, and `programs`
 *   runs further third-party programs; `times` measures. `--changed` skips tests that the change since `.ci/base` does
 *   not need; `--full` runs the longer form of some tests, and `--binary` the released file instead of the sources.
 *
 * No test is retried. A test that takes far too long is killed with its batch, and reported by name.
 * Usage: main.ts SUITE [--full] [--changed] [--binary] [--report FILE] [words…]
 */
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureNode, ensureReleasedFile } from "../../scripts/build/node_runtime.ts";
import { createTempFolder } from "../support/temp.ts";
import { type Batch, type BatchResult, deno, node, runBatches } from "./batch.ts";
import { addReasons, formatFailures, type NamedText } from "./junit.ts";
import { findFiles, findNeeded, importsFile, listChanges, SMOKE, SUITE_NAMES } from "./suites.ts";

/** How the files of a suite share processes. Loading the server and all commands takes 2 s for each process. */
interface Sharing {
  /** The files that import this module are in batches of the first size, the others in batches of the second. */
  readonly module: string;
  readonly sizes: readonly [number, number];
  /** The parallel processes. With more, programs on a slow machine exceed the time limits of the tests. */
  readonly lanesPerCore: number;
  /** How long a batch may run without starting a test: far longer than the slowest test on a slow machine. */
  readonly silentMs: number;
}

/** Files that start programs, or run tlsboot in their process, are slow because they wait for them. */
const QUICK: Sharing = { module: "tests/support/child.ts", sizes: [13, 120], lanesPerCore: 1.5, silentMs: 300_000 };

/** Some files can share a control plane with others in their process. All mostly wait for programs to start. */
const PEERS: Sharing = {
  module: "tests/support/interop/shared.ts",
  sizes: [8, 1],
  lanesPerCore: 3,
  silentMs: 1_200_000,
};

/** Where the released files are built. */
const DIST = join(process.cwd(), "dist");

/** How many lines of each failure are printed at the end. */
const LINES_PER_FAILURE = 20;

const OPTIONS = {
  binary: { type: "boolean", default: false },
  changed: { type: "boolean", default: false },
  full: { type: "boolean", default: false },
  report: { type: "string" },
} as const;

async function main(): Promise<number> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  const { values, positionals: [suite = "test", ...words] } = parseArgs({ options: OPTIONS, allowPositionals: true });
  if (!SUITE_NAMES.includes(suite)) throw new Error(`no suite is called ${suite}; there are ${SUITE_NAMES.join(", ")}`);
  const sharing = suite === "test" || suite === "file" ? QUICK : PEERS;
  const parts = await plan(suite, values, words);
  const batches = parts.flatMap(({ files, ...part }) => split(files, sharing).map((files) => ({ ...part, files })));
  if (batches.length === 0) throw new Error(`no file of the suite ${suite} has ${words.join(", ")} in its path`);
  await using folder = await createTempFolder("tlsboot-test-");
  let ended = 0;
  const results = await runBatches(batches, {
    folder: folder.path,
    lanes: Math.max(1, Math.floor(availableParallelism() * sharing.lanesPerCore)),
    silentMs: sharing.silentMs,
    onEnd(result) {
      if (result.outcome.failures.length > 0) process.stdout.write(result.output);
      process.stdout.write(`${++ended}/${batches.length} ${formatResult(result)}\n`);
    },
  });
  const summary = summarize(results);
  const { passed, repeated, failed, skipped, cpuSeconds } = summary;
  if (values.report !== undefined) await writeFile(values.report, JSON.stringify(summary));
  process.stdout.write(
    formatFailures(results.flatMap(({ outcome }) => outcome.failures), LINES_PER_FAILURE) +
      skipped.map(({ name, text }) => `skipped: ${name}: ${text}\n`).join("") +
      `${suite}: ${passed} passed, ${failed} failed, ${skipped.length} skipped; ` +
      `${repeated} repeated on another runtime; ${cpuSeconds.toFixed(0)} s of CPU\n`,
  );
  return failed === 0 ? 0 : 1;
}

/** Plans what runs where, before it is split into batches. The batches that take longest come first. */
async function plan(
  suite: string,
  { full, changed, binary }: { readonly full: boolean; readonly changed: boolean; readonly binary: boolean },
  words: readonly string[],
): Promise<readonly Batch[]> {
  const needed = changed ? findNeeded(listChanges()).interop : undefined;
  const files = findFiles(suite, words).filter((file) => needed?.includes(file) ?? true);
  // This makes some tests run in their longer form.
  const env = full ? { TLSBOOT_TEST_FULL: "1" } : {};
  const executable = await ensureNode();
  if (suite === "test") {
    const repeated = files.filter((file) => full || SMOKE.includes(file) || dependsOnRuntime(file));
    return [{ runtime: deno(env), files: repeated, isRepeat: true }, { runtime: node(executable, env), files }];
  }
  if (suite === "file") {
    const repeated = findFiles("test", words).filter((file) =>
      full ? /^tests\/(?:e2e|security)\//.test(file) && importsFile(file, QUICK.module) : SMOKE.includes(file)
    );
    if (files.length + repeated.length === 0) return [];
    const released = { TLSBOOT_TEST_BINARY: await ensureReleasedFile("all", DIST), ...env };
    return [
      { runtime: { ...deno(released), name: "File" }, files },
      { runtime: { ...node(executable, released), name: "File" }, files: repeated, isRepeat: true },
    ];
  }
  // The scripts that build packages run on Deno.
  if (suite === "packages") return [{ runtime: deno(env), files }];
  const tlsboot = binary ? { TLSBOOT_TEST_BINARY: await ensureReleasedFile("host", DIST) } : {};
  return [{ runtime: node(executable, { TLSBOOT_TEST_NODE: executable, ...tlsboot, ...env }), files }];
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
  return usesDifferent(file, DIFFERENT_IN_TESTS) || usesDifferent(file.replace("_test.", "."), DIFFERENT_IN_PRODUCT);
}

function usesDifferent(file: string, modules: RegExp): boolean {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  return [...text.matchAll(/^import (?!type )\{?([^;]*?)\}? from "node:(\w+)/gm)].some(([, names = "", module = ""]) =>
    modules.test(module) && names.split(",").some((name) => !SAME.test(name.trim()))
  );
}

/** Splits files into those of each batch, so that slow neighbours are in different batches. */
function split(files: readonly string[], { module, sizes }: Sharing): readonly (readonly string[])[] {
  const isFirst = (file: string): boolean => importsFile(file, module);
  return [files.filter(isFirst), files.filter((file) => !isFirst(file))].flatMap((some, index) => {
    const count = Math.ceil(some.length / (sizes[index] ?? 1));
    return Array.from({ length: count }, (_, batch) => some.filter((_, at) => at % count === batch));
  });
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
  readonly cpuSeconds: number;
}

function summarize(results: readonly BatchResult[]): Summary {
  const add = (count: (result: BatchResult) => number): number => results.reduce((sum, one) => sum + count(one), 0);
  const skipped = results.flatMap(({ runtime, outcome }) => outcome.skipped.map((one) => ({ ...one, runtime })));
  return {
    passed: add(({ outcome, isRepeat }) => isRepeat ? 0 : outcome.passed),
    repeated: add(({ outcome, isRepeat }) => isRepeat ? outcome.passed : 0),
    failed: add(({ outcome }) => outcome.failures.length),
    skipped: addReasons(skipped).map(({ name, text, runtime }) => ({ name: `${runtime.name} ${name}`, text })),
    cpuSeconds: add(({ cpuSeconds }) => cpuSeconds),
  };
}

function formatResult({ runtime, files: [first = "", ...more], outcome, seconds, cpuSeconds }: BatchResult): string {
  const name = more.length === 0 ? first : `${first} and ${more.length} more`;
  const counts = `${outcome.passed} passed, ${outcome.failures.length} failed`;
  return `${runtime.name} ${name}: ${counts}, ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU`;
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
