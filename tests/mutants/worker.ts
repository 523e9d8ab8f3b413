/**
 * A process that runs tests of some files, with all mutants in the changed files and at most one of them in force. It
 * answers when it has run them all. A test that fails with the mutant ends it, and so does one that waits for nothing.
 */
import { registerHooks } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";
import fc from "../support/properties.ts";
import { loadTests } from "./node_test.ts";

/** The only message that a worker gets. */
export interface Request {
  /** The changed files by path, with all of their mutants in them. */
  readonly changed: Readonly<Record<string, string>>;
  /** The mutant that is in force, also while the modules load. */
  readonly mutant?: number;
  /** The test files, and which tests of each by their place in the file; by default all. */
  readonly files: readonly { readonly file: string; readonly tests?: readonly number[] }[];
}

/** A test as it ran; the answer has all of them. */
export interface MeasuredTest {
  readonly file: string;
  /** Its place in the file. */
  readonly index: number;
  readonly name: string;
  readonly ms: number;
  /** The mutants that it reaches, and those that its file reaches while it loads. */
  readonly reached: ReadonlySet<number>;
  /** The error with which it failed. */
  readonly fault: string | undefined;
}

/** A loop that passes mutants more often than this never ends. */
const MOST_PASSES = 5_000_000;

process.once("message", async ({ changed, mutant, files }: Request) => {
  let [passes, reached] = [0, new Set<number>()];
  const isInForce = (id: number): boolean => {
    reached.add(id);
    if (++passes > MOST_PASSES) throw new Error("a loop that never ends");
    return id === mutant;
  };
  Object.assign(globalThis, { __mutant: isInForce });
  registerChanges(changed);
  // A property that fails need not find its smallest counterexample.
  fc.configureGlobal({ endOnFailure: true });
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

/** From here on, imports find the changed files and the stand-in of `node:test`. */
function registerChanges(changed: Request["changed"]): void {
  const sources = new Map(Object.entries(changed).map(([file, source]) => [pathToFileURL(file).href, source]));
  const standIn = new URL("./node_test.ts", import.meta.url).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "node:test" ? { url: standIn, shortCircuit: true } : next(specifier, context),
    load(url, context, next) {
      const source = sources.get(url);
      return source === undefined ? next(url, context) : { format: "module", source, shortCircuit: true };
    },
  });
}
