/** Runs a target with many inputs, each within a limit of memory and, if the run is timed, of time. */
import process from "node:process";
import { below, createSeededRandom, oneIn, pick } from "../support/seeded_random.ts";
import { findSteepGrowth } from "../support/growth.ts";
import { inflate, minimize, mutate, type Pool, pump, pumpEach, type Sized } from "./mutate.ts";
import type { Bytes, Target } from "./target.ts";

/** A fault, and the input that triggers it. */
export interface Finding {
  readonly kind: "wrong" | "slow" | "memory" | "hang" | "crash";
  readonly message: string;
  readonly input: Bytes;
}

export interface Report {
  readonly inputs: number;
  readonly seconds: number;
  readonly slowestMs: number;
  readonly slowestBytes: number;
  readonly finding: Finding | undefined;
}

/** The limits of a run, and its seed. */
interface FuzzOptions {
  readonly seed: number;
  /** The duration of the run; undefined if only `inputs` ends it, and then no time is measured. */
  readonly seconds: number | undefined;
  /** The largest number of inputs to run in addition to the seeds. */
  readonly inputs: number;
  /** Called with each input before it is run. */
  readonly onInput: (count: number, input: Bytes) => void;
}

/** The time for each MiB of an input, in addition to the target's grace. */
const MS_PER_MIB = 500;
const GRACE_MS = 250;
/** The largest memory that a target may retain. */
const MEMORY_BYTES = 512 * 2 ** 20;
const MINIMIZE_MS = 10_000;
const POOL_LIMIT = 2_000;
const POOL_ENTRY_BYTES = 8_192;
const MEDIUM_BYTES = 65_536;
/** The size of inputs in which a piece is repeated: a quadratic reader takes a second, a linear one a millisecond. */
const PUMPED_BYTES = 32_768;
/** The largest seed in which each byte is repeated in turn. */
const PUMPED_SEED_BYTES = 200;
/** One in this many inputs repeats a piece of another input. A timed run measures it at growing sizes. */
const PUMP_EVERY = 2;

/** Runs the seeds, then inputs made from them. */
export async function fuzz(target: Target, { seed, seconds, inputs: most, onInput }: FuzzOptions): Promise<Report> {
  const random = createSeededRandom(seed);
  const inputs: Bytes[] = [...target.seeds];
  const pool: Pool = { random, inputs, words: target.words };
  const pumps = pumpEach(target.seeds.filter(({ length }) => length <= PUMPED_SEED_BYTES));
  const outcomes = new Set<string>();
  const startedAt = performance.now();
  let memoryAtStart = 0;
  let slowest = { ms: 0, bytes: 0 };
  let count = 0;
  const isOver = () =>
    count >= target.seeds.length + most || seconds !== undefined && performance.now() - startedAt > seconds * 1000;
  for (; count < target.seeds.length || !isOver(); count++) {
    const isPumped = count >= target.seeds.length && count % PUMP_EVERY === 0;
    const sized = isPumped ? pumps.next().value ?? pump(pool, pick(random, inputs)) : undefined;
    if (sized !== undefined && seconds !== undefined) {
      const finding = await findGrowth(target, sized, (input) => onInput(count, input));
      // A smaller input would show less growth.
      if (finding?.kind === "slow") return report(finding);
      if (finding !== undefined) return report(await minimized(target, finding, (smaller) => onInput(count, smaller)));
      continue;
    }
    const input = target.seeds[count] ?? sized?.(pumpedBytes(target)) ?? nextInput(target, pool, count);
    onInput(count, input);
    const outcome = await runInput(target, input, seconds !== undefined);
    if (memoryAtStart === 0 && count >= target.seeds.length) memoryAtStart = process.memoryUsage().rss;
    if (outcome.ms > slowest.ms) slowest = { ms: outcome.ms, bytes: input.length };
    const finding = outcome.finding ?? findMemoryFault(input, count, memoryAtStart);
    if (finding !== undefined) {
      return report(await minimized(target, finding, (smaller) => onInput(count, smaller)));
    }
    if (outcomes.has(outcome.label) || input.length > POOL_ENTRY_BYTES) continue;
    outcomes.add(outcome.label);
    if (inputs.length < POOL_LIMIT) inputs.push(input);
    else inputs[below(random, inputs.length)] = input;
  }
  return report(undefined);

  function report(finding: Finding | undefined): Report {
    const spent = (performance.now() - startedAt) / 1000;
    return { inputs: count, seconds: spent, slowestMs: slowest.ms, slowestBytes: slowest.bytes, finding };
  }
}

/** Creates the next input: mostly small ones, some of medium size, and a few as large as a client may send. */
function nextInput(target: Target, pool: Pool, count: number): Bytes {
  const { random } = pool;
  const base = pick(random, pool.inputs);
  const size = count % 997 === 0 ? target.maxBytes : count % 47 === 0 ? Math.min(target.maxBytes, MEDIUM_BYTES) : 0;
  if (size > 0) {
    const inflated = oneIn(random, 2) ? target.inflate?.(base, random, size) : undefined;
    return inflated ?? inflate(pool, base, size);
  }
  const restructured = oneIn(random, 2) ? target.restructure?.(base, random) : undefined;
  if (restructured !== undefined && restructured.length <= target.maxBytes) {
    return oneIn(random, 3) ? mutate(pool, restructured, target.maxBytes) : restructured;
  }
  return mutate(pool, base, target.maxBytes);
}

/** The result of one input. */
interface InputResult {
  readonly label: string;
  readonly ms: number;
  readonly finding: Finding | undefined;
}

/**
 * Runs one input. If it is timed, a slow input is run again, and then only processor time counts, because the machine
 * may have been busy.
 */
export async function runInput(target: Target, input: Bytes, isTimed = true): Promise<InputResult> {
  const limit = isTimed ? (target.graceMs ?? GRACE_MS) + MS_PER_MIB * input.length / 2 ** 20 : Infinity;
  let ms = Infinity;
  let label = "";
  for (let attempt = 0; attempt === 0 || attempt < 3 && ms > limit; attempt++) {
    const startedAt = performance.now();
    const used = process.cpuUsage();
    try {
      label = await target.run(input);
    } catch (error) {
      return { label: "", ms: 0, finding: toFinding(error, input) };
    }
    const { user, system } = process.cpuUsage(used);
    ms = Math.min(ms, performance.now() - startedAt, attempt === 0 ? Infinity : (user + system) / 1000);
  }
  if (ms <= limit) return { label, ms, finding: undefined };
  const message = `${ms.toFixed(0)} ms for ${input.length} bytes, ${limit.toFixed(0)} ms are allowed (${label})`;
  return { label, ms, finding: { kind: "slow", message, input } };
}

function pumpedBytes({ maxBytes }: Target): number {
  return Math.min(maxBytes, PUMPED_BYTES);
}

/** Finds superlinear time while the time itself is still within its limits. */
async function findGrowth(
  target: Target,
  sized: Sized,
  onInput: (input: Bytes) => void,
): Promise<Finding | undefined> {
  const limit = pumpedBytes(target);
  let last: Bytes = sized(0);
  const input = (size: number): Bytes => {
    last = sized(size);
    onInput(last);
    return last;
  };
  try {
    const message = await findSteepGrowth({ input, read: target.run, limit });
    return message === undefined ? undefined : { kind: "slow", message, input: last };
  } catch (error) {
    return toFinding(error, last);
  }
}

function toFinding(error: unknown, input: Bytes): Finding {
  const message = error instanceof Error ? error.stack ?? error.message : String(error);
  return { kind: "wrong", message, input };
}

function findMemoryFault(input: Bytes, count: number, before: number): Finding | undefined {
  if (before === 0 || (input.length < MEDIUM_BYTES && count % 256 !== 0)) return undefined;
  if (process.memoryUsage().rss - before <= MEMORY_BYTES) return undefined;
  // Garbage does not count. If V8 runs out of memory, the process ends.
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const grown = heapUsed + external;
  if (grown <= MEMORY_BYTES) return undefined;
  return { kind: "memory", message: `the process keeps ${Math.round(grown / 2 ** 20)} MiB`, input };
}

async function minimized(target: Target, finding: Finding, onInput: (input: Bytes) => void): Promise<Finding> {
  if (finding.kind === "memory") return finding;
  const until = performance.now() + MINIMIZE_MS;
  const firstLine = finding.message.split("\n", 1)[0];
  let last = finding;
  await minimize(finding.input, async (input) => {
    onInput(input);
    const found = (await runInput(target, input)).finding;
    if (found?.kind !== finding.kind) return false;
    if (finding.kind === "wrong" && found.message.split("\n", 1)[0]?.slice(0, 30) !== firstLine?.slice(0, 30)) {
      return false;
    }
    last = found;
    return true;
  }, () => performance.now() > until);
  return last;
}
