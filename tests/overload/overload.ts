/** Runs one attack on a server, and observes the server and the honest clients. */
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { parseBytes } from "../bench/processes.ts";
import type { Child } from "../support/child.ts";
import {
  type Account,
  type Answer,
  countLines,
  missingKinds,
  type Observation,
  type StoredCounts,
} from "./observation.ts";
import { type Attack, createTally, findShortfalls } from "./attack.ts";

/** The instance that is attacked. */
export interface Instance {
  readonly server: Child;
  readonly honest: Child;
  readonly account: Account;
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
/** The time limit of an attack, to which the second constant is added in proportion to the scale. */
const ENOUGH_WITHIN_MS = 180_000;
const ENOUGH_AT_SCALE_MS = 240_000;
/** Longer than honest clients wait for an answer after the previous one. */
const ANSWERED_WITHIN_MS = 120_000;

/** Runs an attack, then waits until every kind of honest request has been answered once more. */
export async function overload(instance: Instance, attack: Attack): Promise<Observation> {
  const { server, account } = instance;
  const startedAt = performance.now();
  const readLines = linesFrom(server);
  await resetPeak(server.pid);
  const before = await readMemory(server.pid, "VmRSS");
  const first = await instance.count();
  const tally = createTally();
  const isEnough = () => findShortfalls(attack, tally, instance.scale).length === 0;
  const deadline = AbortSignal.timeout(ENOUGH_WITHIN_MS + ENOUGH_AT_SCALE_MS * instance.scale);
  await attack.run({ ...instance, tally, isEnough, deadline });
  // From here on, connections end because of the test itself.
  const counted = { ...tally };
  const answers = [...account.take(), ...await answersOfEachKind(instance)];
  await setTimeout(REST_MS);
  const last = await instance.count();
  answers.push(...account.take());
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

/** Waits for one more answer of each kind, because answers that an attack delayed count as answers during it. */
async function answersOfEachKind({ honest, account }: Instance): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const until = performance.now() + ANSWERED_WITHIN_MS; performance.now() < until && !honest.hasEnded();) {
    answers.push(...account.take());
    if (missingKinds(answers).length === 0) break;
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

function linesFrom(running: Child): () => string {
  const from = running.stderr().length;
  return () => running.stderr().slice(from);
}
