/** Runs the mutants of one room in worker processes, and replaces a worker that hangs, ends or is no longer clean. */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { cacheDir } from "../../scripts/processes.ts";
import { NODE_FLAGS } from "../support/child.ts";
import type { Mutant } from "./mutate.ts";
import type { Answer, Assignment, MeasuredTest, Request } from "./worker.ts";

/** The files of a room, and the test files that import them. */
export interface RoomRun {
  readonly mutants: readonly Mutant[];
  readonly changed: Assignment["changed"];
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
/** A test has hung after this time and many times the usual time of the longest one. */
const PATIENCE_MS = 5000;
const PATIENCE_FACTOR = 10;
/** The time that a worker has to load, and to run all tests without a mutant. */
const LONG_MS = 600_000;

interface Worker extends Disposable {
  /**
   * Asks for something; undefined when the worker has ended, or was killed because it has neither answered nor begun a test
   * for some time.
   */
  ask(request: Request, limitMs: number): Promise<Answer | undefined>;
}

export async function runRoom(room: RoomRun): Promise<RoomOutcome> {
  const { changed, testFiles } = room;
  const assign = (mutant?: number) => startWorker({ changed, testFiles, mutant });
  const first = await assign();
  const measured = await first?.ask({ kind: "measure" }, LONG_MS);
  if (first === undefined || measured?.kind !== "measured") throw new Error("cannot run the tests without a mutant");
  const { tests } = measured;
  const atLoad = new Set(measured.atLoad);
  const isUsable = ({ fault }: MeasuredTest) => fault === undefined;

  async function runLane(worker: Worker | undefined): Promise<void> {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const { id, file } = mutant;
      const reaching = orderTests(tests, (test) => isUsable(test) && test.reached.includes(id));
      let found = false;
      if (reaching.length > 0) {
        worker ??= await assign();
        const answer = await worker?.ask({ kind: "run", mutant: id, tests: reaching }, limitFor(reaching));
        found = answer?.kind !== "ran" || answer.foundBy !== undefined;
        if (answer?.kind !== "ran" || !answer.isClean) {
          worker?.[Symbol.dispose]();
          worker = undefined;
        }
      }
      // What runs while modules load is decided by then: the mutant needs a process of its own.
      if (!found && atLoad.has(id)) found = await isFoundFromTheStart(id, file);
      if (!found) survivors.push({ ...mutant, isReached: reaching.length > 0 || atLoad.has(id) });
    }
    worker?.[Symbol.dispose]();
  }

  async function isFoundFromTheStart(id: number, file: string): Promise<boolean> {
    using worker = await assign(id);
    const indexes = orderTests(tests, (test) => isUsable(test) && room.importsFile(test.file, file));
    const answer = await worker?.ask({ kind: "run", mutant: id, tests: indexes }, limitFor(indexes));
    return answer?.kind !== "ran" || answer.foundBy !== undefined;
  }

  function limitFor(indexes: readonly number[]): number {
    return PATIENCE_MS + PATIENCE_FACTOR * Math.max(0, ...indexes.map((index) => tests[index]?.ms ?? 0));
  }

  const queue = [...room.mutants];
  const survivors: Survivor[] = [];
  await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane === 0 ? first : undefined)));
  survivors.sort((a, b) => a.id - b.id);
  return { survivors, unusable: tests.filter((test) => !isUsable(test)), tests: tests.length };
}

/** The indexes of some tests: the quickest files first, and the quickest tests of a file first. */
function orderTests(tests: readonly MeasuredTest[], isWanted: (test: MeasuredTest) => boolean): number[] {
  const wanted = tests.map((test, index) => ({ ...test, index })).filter(isWanted);
  const msByFile = new Map<string, number>();
  for (const { file, ms } of wanted) msByFile.set(file, (msByFile.get(file) ?? 0) + ms);
  const fileMs = (file: string) => msByFile.get(file) ?? 0;
  wanted.sort((a, b) => fileMs(a.file) - fileMs(b.file) || a.file.localeCompare(b.file) || a.ms - b.ms);
  return wanted.map(({ index }) => index);
}

/** Starts a worker and loads the tests; undefined when they cannot be loaded. */
async function startWorker(assignment: Assignment): Promise<Worker | undefined> {
  const child = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), {
    execArgv: [...NODE_FLAGS],
    env: { ...process.env, NODE_COMPILE_CACHE: join(cacheDir(), "mutants") },
    stdio: ["ignore", "ignore", assignment.mutant === undefined ? "inherit" : "ignore", "ipc"],
  });
  const worker: Worker = {
    ask: (request, limitMs) => ask(child, request, limitMs),
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
  const loaded = await worker.ask({ kind: "assign", assignment }, LONG_MS);
  return loaded === undefined ? undefined : worker;
}

function ask(child: ChildProcess, request: Request, limitMs: number): Promise<Answer | undefined> {
  if (!child.connected) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const limit = setTimeout(() => child.kill("SIGKILL"), limitMs);
    const finish = (answer: Answer | undefined) => {
      clearTimeout(limit);
      child.off("message", hear).off("exit", end);
      resolve(answer);
    };
    const hear = (answer: Answer) => void (answer.kind === "begun" ? limit.refresh() : finish(answer));
    const end = () => finish(undefined);
    child.on("message", hear).on("exit", end);
    child.send(request);
  });
}
