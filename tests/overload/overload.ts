/** Runs one attack, and observes the server and the honest clients. */
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { parseBytes } from "../bench/processes.ts";
import type { Child } from "../support/child.ts";
import {
  type Answer,
  type AnswerReader,
  countLines,
  findMissingKinds,
  type Observation,
  type StoredCounts,
} from "./observation.ts";
import { type Attack, createTally, findShortfalls } from "./attack.ts";

/** The instance that is attacked. */
export interface Instance {
  readonly server: Child;
  readonly honest: Child;
  readonly reader: AnswerReader;
  readonly port: number;
  readonly token: string;
  readonly scale: number;
  readonly ms: number;
  /** Returns a random number, uniform in [0, 1). */
  random(): number;
  /** Counts the objects in the storage. */
  count(): Promise<StoredCounts>;
}

/** The pause after each attack, for the server to recover. */
const REST_MS = 500;
/** The time limit of an attack; the second part is for scale 1. */
const [ATTACK_MS, ATTACK_AT_SCALE_MS] = [180_000, 240_000];
/** Longer than an honest client takes from one answer to the next. */
const ANSWERED_WITHIN_MS = 120_000;

/** Runs an attack, and waits until every kind of honest request has been answered once more. */
export async function overload(instance: Instance, attack: Attack): Promise<Observation> {
  const { server, reader } = instance;
  const startedAt = performance.now();
  const readLines = followLog(server);
  await resetPeak(server.pid);
  const before = await readMemory(server.pid, "VmRSS");
  const first = await instance.count();
  const tally = createTally();
  const isEnough = () => findShortfalls(attack, tally, instance.scale).length === 0;
  const deadline = AbortSignal.timeout(ATTACK_MS + ATTACK_AT_SCALE_MS * instance.scale);
  await attack.run({ ...instance, tally, isEnough, deadline });
  // From here on, connections end because of the test itself.
  const counted = { ...tally };
  const answers = [...reader.take(), ...await awaitEachKind(instance)];
  await setTimeout(REST_MS);
  const last = await instance.count();
  answers.push(...reader.take());
  return {
    attack,
    tally: counted,
    seconds: (performance.now() - startedAt) / 1000,
    rss: { before, peak: await readMemory(server.pid, "VmHWM"), after: await readMemory(server.pid, "VmRSS") },
    answers,
    log: countLines(readLines()),
    stored: { secrets: last.secrets - first.secrets, refusals: last.refusals - first.refusals },
  };
}

/** Waits for one more answer of each kind, so that answers delayed by the attack count too. */
async function awaitEachKind({ honest, reader }: Instance): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const until = performance.now() + ANSWERED_WITHIN_MS; performance.now() < until && !honest.hasEnded();) {
    answers.push(...reader.take());
    if (findMissingKinds(answers).length === 0) break;
    await setTimeout(50);
  }
  return answers;
}

/** Resets the peak memory of a process to the current value (proc(5), `clear_refs`). */
async function resetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, "5");
}

async function readMemory(pid: number, line: "VmRSS" | "VmHWM"): Promise<number> {
  return Math.round(parseBytes(await readFile(`/proc/${pid}/status`, "utf8"), line) / 2 ** 20);
}

function followLog(running: Child): () => string {
  const from = running.stderr().length;
  return () => running.stderr().slice(from);
}
