/** Runs the mutants of one room in worker processes, and replaces a worker that hangs, ends or is no longer clean. */
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { cacheDir } from "../../scripts/processes.ts";
import { NODE_FLAGS } from "../support/child.ts";
import type { Mutant } from "./mutate.ts";
import type { Actions, MeasuredTest } from "./worker.ts";

/** The mutants of a room, the files that they are in, and the test files. */
export interface RoomRun {
  readonly mutants: readonly Mutant[];
  readonly changed: Readonly<Record<string, string>>;
  readonly testFiles: readonly string[];
  /** Reports whether a test file imports a file, directly or not. */
  readonly importsFile: (testFile: string, file: string) => boolean;
}

/** What became of the mutants of a room. */
export interface RoomOutcome {
  readonly survivors: readonly Survivor[];
  /** Tests that fail without a mutant, with the reason: no mutant is tried on them. */
  readonly unusable: readonly MeasuredTest[];
  readonly tests: number;
}

export interface Survivor extends Mutant {
  /** Whether any test reaches the place. */
  readonly isReached: boolean;
}

/** The number of workers that run mutants at the same time. */
const LANES = 2;
/** A test has hung after this time and many times its usual time. */
const PATIENCE_MS = 3000;
const PATIENCE_FACTOR = 10;
/** The time that a worker has to load, and a test that was not measured. */
const LONG_MS = 600_000;
/** The folder of the tests' files: in memory where there is one, because a disk takes milliseconds for each commit. */
const TMPDIR = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

type Reply<K extends keyof Actions> = Awaited<ReturnType<Actions[K]>>;

interface Worker extends Disposable {
  /** Asks for something; undefined when the worker has ended, or was killed because a test took longer than its limit. */
  ask<K extends keyof Actions>(name: K, ...args: Parameters<Actions[K]>): Promise<Reply<K> | undefined>;
}

export async function runRoom({ mutants, changed, testFiles, importsFile }: RoomRun): Promise<RoomOutcome> {
  let tests: readonly MeasuredTest[] = [];
  const limitOf = (test: number): number =>
    tests[test] === undefined ? LONG_MS : PATIENCE_MS + PATIENCE_FACTOR * tests[test].ms;

  /** Starts a worker that has loaded the tests; undefined when they cannot be loaded. */
  async function load(mutant?: number): Promise<Worker | undefined> {
    const worker = startWorker(mutant === undefined, limitOf);
    return await worker.ask("load", changed, testFiles, mutant) && worker;
  }

  /** Tries a mutant on tests, and reports whether one finds it and the worker can be used again. */
  async function tryOn(worker: Worker | undefined, mutant: number, isWanted: (test: MeasuredTest) => boolean) {
    const outcome = await worker?.ask("runMutant", mutant, orderTests(tests, isWanted));
    return outcome ?? { isFound: true, isClean: false };
  }

  async function runLane(worker: Worker | undefined): Promise<void> {
    for (const mutant of queue) {
      const { id, file } = mutant;
      const isReaching = ({ reached, fault }: MeasuredTest) => fault === undefined && reached.includes(id);
      const isReached = tests.some(isReaching);
      let isFound = false;
      if (isReached) {
        worker ??= await load();
        if (worker === undefined) throw new Error("cannot load the tests again");
        const outcome = await tryOn(worker, id, isReaching);
        isFound = outcome.isFound;
        if (!outcome.isClean) {
          worker[Symbol.dispose]();
          worker = undefined;
        }
      }
      if (!isFound && atLoad.has(id)) {
        // What runs while modules load is decided by then: the mutant needs a process of its own.
        using own = await load(id);
        ({ isFound } = await tryOn(own, id, (test) => test.fault === undefined && importsFile(test.file, file)));
      }
      if (!isFound) survivors.push({ ...mutant, isReached: isReached || atLoad.has(id) });
    }
    worker?.[Symbol.dispose]();
  }

  const first = await load();
  const measured = await first?.ask("measure");
  if (measured === undefined) throw new Error("cannot run the tests without a mutant");
  tests = measured.tests;
  const atLoad = new Set(measured.atLoad);
  const queue = mutants.values();
  const survivors: Survivor[] = [];
  await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane === 0 ? first : undefined)));
  survivors.sort((a, b) => a.id - b.id);
  return { survivors, unusable: tests.filter(({ fault }) => fault !== undefined), tests: tests.length };
}

/** The indexes of some tests: the quickest files first, and the quickest tests of a file first. */
function orderTests(tests: readonly MeasuredTest[], isWanted: (test: MeasuredTest) => boolean): number[] {
  const wanted = tests.map((test, index) => ({ ...test, index })).filter(isWanted);
  const msByFile = new Map<string, number>();
  for (const { file, ms } of wanted) msByFile.set(file, (msByFile.get(file) ?? 0) + ms);
  const fileMs = ({ file }: MeasuredTest) => msByFile.get(file) ?? 0;
  wanted.sort((a, b) => fileMs(a) - fileMs(b) || a.file.localeCompare(b.file) || a.ms - b.ms);
  return wanted.map(({ index }) => index);
}

function startWorker(reportsFaults: boolean, limitOf: (test: number) => number): Worker {
  const child = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), {
    execArgv: [...NODE_FLAGS, "--no-warnings"],
    env: { ...process.env, NODE_COMPILE_CACHE: join(cacheDir(), "mutants"), TMPDIR },
    stdio: ["ignore", "ignore", reportsFaults ? "inherit" : "ignore", "ipc"],
    serialization: "advanced",
  });
  const kill = () => void child.kill("SIGKILL");
  const ask: Worker["ask"] = (name, ...args) => {
    const { promise, resolve } = Promise.withResolvers<Reply<typeof name> | undefined>();
    let limit = setTimeout(kill, LONG_MS);
    const hear = (message: { readonly begun: number } | { readonly answer: Reply<typeof name> }) => {
      if ("answer" in message) return resolve(message.answer);
      clearTimeout(limit);
      limit = setTimeout(kill, limitOf(message.begun));
    };
    const end = () => resolve(undefined);
    child.on("message", hear).on("exit", end).on("error", end);
    if (child.connected) child.send([name, ...args]);
    else end();
    return promise.finally(() => {
      clearTimeout(limit);
      child.off("message", hear).off("exit", end).off("error", end);
    });
  };
  return { ask, [Symbol.dispose]: kill };
}
