/**
 * A process that loads the tests of a room once, with all mutants in the changed files, and then runs tests for one mutant
 * after the other, as its parent asks (`supervise.ts`).
 */
import { registerHooks } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { listGroups, loadTests, type RegisteredTest } from "./node_test.ts";

/** What a worker is started with. */
export interface Assignment {
  /** The changed files by path, with all of their mutants in them. */
  readonly changed: Readonly<Record<string, string>>;
  readonly testFiles: readonly string[];
  /** A mutant that is in force while the modules load. */
  readonly mutant: number | undefined;
}

/** What the parent asks a worker to do. */
export type Request =
  | { readonly kind: "assign"; readonly assignment: Assignment }
  | { readonly kind: "measure" }
  | { readonly kind: "run"; readonly mutant: number; readonly tests: readonly number[] };

/** What the worker answers. A worker that is no longer clean must be replaced. */
export type Answer =
  | { readonly kind: "loaded" }
  /** The test with this number begins. */
  | { readonly kind: "begun" }
  | { readonly kind: "measured"; readonly tests: readonly MeasuredTest[]; readonly atLoad: readonly number[] }
  | { readonly kind: "ran"; readonly foundBy: string | undefined; readonly isClean: boolean };

/** A test as it ran without any mutant. */
export interface MeasuredTest {
  readonly name: string;
  readonly file: string;
  readonly ms: number;
  /** The mutants that it reaches. */
  readonly reached: readonly number[];
  /** Why it failed without a mutant. */
  readonly fault: string | undefined;
}

/** A loop that passes a mutant more often than this never ends. */
const MOST_PASSES = 20_000_000;
/** Time for promises that were started while the modules loaded. */
const SETTLE_MS = 300;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const STAND_IN = new URL("./node_test.ts", import.meta.url).href;

let active: number | undefined;
let passes = 0;
/** The number of runs of tests so far. */
let runs = 0;
let reached = new Set<number>();
const tests: RegisteredTest[] = [];
let atLoad: readonly number[] = [];

Object.assign(globalThis, {
  __mutant(id: number): boolean {
    if (active === undefined) reached.add(id);
    else if (++passes > MOST_PASSES) throw new Error("a loop that never ends");
    return id === active;
  },
});

/**
 * What the changed files remember about an object, in a WeakMap, is forgotten before each run: it was found with another
 * mutant in force, or with none.
 */
class ForgetfulMap<K extends WeakKey, V> extends WeakMap<K, V> {
  #runs = new WeakMap<K, number>();

  override get(key: K): V | undefined {
    return this.#runs.get(key) === runs ? super.get(key) : undefined;
  }

  override has(key: K): boolean {
    return this.#runs.get(key) === runs && super.has(key);
  }

  override set(key: K, value: V): this {
    this.#runs.set(key, runs);
    return super.set(key, value);
  }
}
Object.assign(globalThis, { ForgetfulMap });

process.on("unhandledRejection", () => {});
process.on("disconnect", () => process.exit());
process.on("message", (request: Request) => {
  answer(request).then(send, (error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
    process.exit(1);
  });
});

function send(message: Answer): void {
  process.send?.(message);
}

async function answer(request: Request): Promise<Answer> {
  if (request.kind === "assign") {
    await load(request.assignment);
    return { kind: "loaded" };
  }
  if (request.kind === "measure") return { kind: "measured", tests: await measure(), atLoad };
  return await runMutant(request.mutant, request.tests);
}

async function load({ changed, testFiles, mutant }: Assignment): Promise<void> {
  const texts = new Map(Object.entries(changed).map(([file, text]) => [pathToFileURL(join(ROOT, file)).href, text]));
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "node:test" ? { url: STAND_IN, shortCircuit: true } : next(specifier, context),
    load(url, context, next) {
      const text = texts.get(url);
      if (text === undefined) return next(url, context);
      const source = text.replaceAll("new WeakMap", "new ForgetfulMap");
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
  active = mutant;
  for (const file of testFiles) {
    const url = pathToFileURL(join(ROOT, file)).href;
    tests.push(...await loadTests(file, () => import(url)));
  }
  await delay(SETTLE_MS);
  atLoad = [...reached];
}

/** Runs every test without a mutant, twice: a test that passes only once cannot be used. */
async function measure(): Promise<MeasuredTest[]> {
  active = undefined;
  const measured: MeasuredTest[] = [];
  for (const [index, { name, group }] of tests.entries()) {
    reached = new Set();
    const start = performance.now();
    const fault = await runTests([index]);
    const ms = performance.now() - start;
    measured.push({ name, file: group.file, ms, reached: [...reached], fault: fault?.text });
  }
  const again: MeasuredTest[] = [];
  for (const [index, test] of measured.entries()) {
    const fault = test.fault === undefined ? await runTests([index]) : undefined;
    again.push(fault === undefined ? test : { ...test, fault: `only the second time: ${fault.text}` });
  }
  return again;
}

/** Runs tests until one finds the mutant, and checks that this test still passes without it. */
async function runMutant(mutant: number, indexes: readonly number[]): Promise<Answer> {
  active = mutant;
  passes = 0;
  const fault = await runTests(indexes);
  active = undefined;
  if (fault === undefined) return { kind: "ran", foundBy: undefined, isClean: true };
  const isClean = (await runTests([fault.index])) === undefined;
  return { kind: "ran", foundBy: tests[fault.index]?.name, isClean };
}

interface Fault {
  readonly index: number;
  readonly text: string;
}

/** Runs tests until one fails, with the hooks of their groups. The tests of a group must follow each other. */
async function runTests(indexes: readonly number[]): Promise<Fault | undefined> {
  runs++;
  for (let next = 0; next < indexes.length;) {
    let index = indexes[next]!;
    const { group } = tests[index]!;
    const groups = listGroups(group);
    try {
      try {
        for (const hook of groups.flatMap(({ before }) => before)) await hook();
        while (next < indexes.length && tests[indexes[next]!]!.group === group) {
          index = indexes[next++]!;
          send({ kind: "begun" });
          await tests[index]!.run();
        }
      } finally {
        for (const hook of groups.flatMap(({ after }) => after)) await hook();
      }
    } catch (error) {
      return { index, text: error instanceof Error ? error.message : String(error) };
    }
  }
  return undefined;
}
