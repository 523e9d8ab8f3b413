/**
 * A process that loads the tests of a room once, with all mutants in the changed files, and then runs tests for one mutant
 * after the other, as its parent asks (`room.ts`).
 */
import { registerHooks } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import fc from "../support/properties.ts";
import { listGroups, loadTests, type RegisteredTest } from "./node_test.ts";

/** What the parent asks a worker to do: first to load. */
export type Actions = typeof ACTIONS;
const ACTIONS = { load, measure, runMutant };

/** A test as it ran without any mutant. */
export interface MeasuredTest {
  readonly name: string;
  readonly file: string;
  readonly ms: number;
  /** The mutants that it reaches. */
  readonly reached: readonly number[];
  /** Why it failed without a mutant, also when it passed before. */
  fault: string | undefined;
}

/** A loop that passes mutants more often than this never ends. */
const MOST_PASSES = 5_000_000;
/** Time for promises that were started while the modules loaded. */
const SETTLE_MS = 300;

let active: number | undefined;
let passes = 0;
/** The number of runs of tests so far. */
let runs = 0;
let reached = new Set<number>();
const tests: RegisteredTest[] = [];

function isInForce(id: number): boolean {
  if (active === undefined) reached.add(id);
  else if (++passes > MOST_PASSES) throw new Error("a loop that never ends");
  return id === active;
}

/** What a changed file remembers about an object is forgotten before each run: it was found with another mutant in force. */
class ForgetfulMap<K extends WeakKey, V> {
  #map = new WeakMap<K, V>();
  #run = runs;

  #ofThisRun(): WeakMap<K, V> {
    if (this.#run !== runs) [this.#map, this.#run] = [new WeakMap(), runs];
    return this.#map;
  }

  get = (key: K) => this.#ofThisRun().get(key);
  has = (key: K) => this.#ofThisRun().has(key);
  set = (key: K, value: V) => this.#ofThisRun().set(key, value);
  delete = (key: K) => this.#ofThisRun().delete(key);
}

Object.assign(globalThis, { __mutant: isInForce, ForgetfulMap });
process.on("unhandledRejection", () => {});
process.on("disconnect", () => process.exit());
process.on("message", async ([name, ...args]: [keyof Actions, ...unknown[]]) => {
  // During a request the channel does not keep the process alive: see `stuck`.
  process.channel?.unref();
  const act = ACTIONS[name] as (...args: readonly unknown[]) => Promise<unknown>;
  process.send?.({ answer: await act(...args).catch(end) });
  process.channel?.ref();
});

function end(error: unknown): never {
  if (active === undefined) process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exit(1);
}

/**
 * Loads test files, with the changed files by path, which have all of their mutants in them; one may be in force while the
 * modules load.
 */
async function load(
  changed: Readonly<Record<string, string>>,
  testFiles: readonly string[],
  mutant: number | undefined,
): Promise<true> {
  const toUrl = (file: string) => pathToFileURL(join(process.cwd(), file)).href;
  const texts = new Map(Object.entries(changed).map(([file, text]) => [toUrl(file), text]));
  const standIn = new URL("./node_test.ts", import.meta.url).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "node:test" ? { url: standIn, shortCircuit: true } : next(specifier, context),
    load(url, context, next) {
      const source = texts.get(url)?.replaceAll("new WeakMap", "new ForgetfulMap");
      return source === undefined ? next(url, context) : { format: "module-typescript", source, shortCircuit: true };
    },
  });
  // A property that fails need not find its smallest counterexample.
  fc.configureGlobal({ endOnFailure: true });
  active = mutant;
  for (const file of testFiles) tests.push(...await loadTests(file, () => import(toUrl(file))));
  await delay(SETTLE_MS);
  return true;
}

/** Runs every test without a mutant, twice: one that passes only once cannot be used. Also lists what loading reached. */
async function measure(): Promise<{ readonly tests: readonly MeasuredTest[]; readonly atLoad: readonly number[] }> {
  const atLoad = [...reached];
  const measured: MeasuredTest[] = [];
  for (const [index, { name, group }] of tests.entries()) {
    reached = new Set();
    const start = performance.now();
    const fault = (await runTests([index]))?.text;
    measured.push({ name, file: group.file, ms: performance.now() - start, reached: [...reached], fault });
  }
  for (const [index, test] of measured.entries()) test.fault ??= (await runTests([index]))?.text;
  return { tests: measured, atLoad };
}

/** Runs tests until one finds the mutant. The worker is clean when this test still passes without it. */
async function runMutant(
  mutant: number,
  indexes: readonly number[],
): Promise<{ readonly isFound: boolean; readonly isClean: boolean }> {
  active = mutant;
  const fault = await runTests(indexes);
  active = undefined;
  return { isFound: fault !== undefined, isClean: fault === undefined || await runTests([fault.index]) === undefined };
}

/** Runs tests until one fails, with the hooks of their groups. The tests of a group must follow each other. */
async function runTests(
  indexes: readonly number[],
): Promise<{ readonly index: number; readonly text: string } | undefined> {
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
          passes = 0;
          process.send?.({ begun: index });
          await Promise.race([tests[index]!.run(), stuck()]);
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

/** Rejects when nothing is left that the running test could wait for. */
function stuck(): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const hang = () => void setImmediate(reject, new Error("it waits for ever"));
  process.removeAllListeners("beforeExit").once("beforeExit", hang);
  return promise;
}
