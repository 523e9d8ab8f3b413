/**
 * A process that runs tests of some files, with all mutants in the changed files and at most one of them enabled. It
 * sends its results when all tests have run, and ends early if a test fails with the mutant or never ends.
 */
import { registerHooks } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";
import fc from "../support/properties.ts";
import { loadTests } from "./node_test.ts";

/** The message that starts a worker. */
export interface Request {
  /** The sources of the changed files by path, with all of their mutants. */
  readonly changed: Readonly<Record<string, string>>;
  /** The enabled mutant, which is also enabled while modules load. */
  readonly mutant?: number;
  /** The test files, and the indices of their tests; by default all tests of a file. */
  readonly files: readonly { readonly file: string; readonly tests?: readonly number[] }[];
  /** The time in milliseconds after which tests that wait for something count as hanging. */
  readonly limitMs: number;
}

/** The result of a test, which the worker sends. */
export interface MeasuredTest {
  readonly file: string;
  /** The index of the test in its file. */
  readonly index: number;
  readonly name: string;
  readonly ms: number;
  /** The mutants that the test reaches, including those that its file reaches while loading. */
  readonly reached: ReadonlySet<number>;
  /** The error of a failed test. */
  readonly fault: string | undefined;
}

/** The time between two ticks, which count the time that a process waits. */
const TICK_MS = 100;

/** A test that reaches mutants more often than this has an endless loop. */
const MAX_PASSES = 5_000_000;

process.once("message", async ({ changed, mutant, files, limitMs }: Request) => {
  let [passes, reached] = [0, new Set<number>()];
  const isEnabled = (id: number): boolean => {
    reached.add(id);
    if (++passes > MAX_PASSES) throw new Error("a loop that never ends");
    return id === mutant;
  };
  Object.assign(globalThis, { __mutant: isEnabled });
  registerChanges(changed);
  // A property that fails need not find its smallest counterexample.
  fc.configureGlobal({ endOnFailure: true });
  // A process that gets no processor has fewer ticks, so a busy machine makes no test hang.
  let ticks = 0;
  setInterval(() => ++ticks * TICK_MS > limitMs && process.exit(1), TICK_MS).unref();
  const measured: MeasuredTest[] = [];
  for (const { file, tests } of files) {
    reached = new Set();
    const loaded = await loadTests(() => import(pathToFileURL(file).href));
    const atLoad = reached;
    for (const index of tests ?? loaded.keys()) {
      [passes, reached] = [0, new Set(atLoad)];
      const start = performance.now();
      const { name, run } = loaded[index]!;
      const fault = await run().then(() => undefined, String);
      if (mutant !== undefined && fault !== undefined) process.exit(1);
      measured.push({ file, index, name, ms: performance.now() - start, reached, fault });
    }
  }
  process.send?.(measured, () => process.exit());
});

/** Makes later imports load the changed files, and the replacement for `node:test`. */
function registerChanges(changed: Request["changed"]): void {
  const sources = new Map(Object.entries(changed).map(([file, source]) => [pathToFileURL(file).href, source]));
  const replacement = new URL("./node_test.ts", import.meta.url).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "node:test" ? { url: replacement, shortCircuit: true } : next(specifier, context),
    load(url, context, next) {
      const source = sources.get(url);
      return source === undefined ? next(url, context) : { format: "module", source, shortCircuit: true };
    },
  });
}
