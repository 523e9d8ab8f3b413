/** Measures how the time of a reader grows with its input, so that a reader of client input that is not linear fails a test. */
import assert from "node:assert/strict";
import process from "node:process";
import { describeRefusal } from "./describe_refusal.ts";

/** A reader and the inputs that it is measured with. */
export interface Growth<Input> {
  /** An input of about this size, in the unit of `limit`. It is made once and is no part of the measured time. */
  readonly input: (size: number) => Input;
  /** Reads one input. A refusal that the API answers with a 4xx is a result like any other. */
  readonly read: (input: Input) => unknown;
  /** The largest size that the server lets through to the reader. */
  readonly limit: number;
}

/** One step of sizes: a linear reader takes 16 times as long for it, a quadratic one 256 times. */
export const STEP = 16;
/**
 * The longest time for one step, as a multiple: the middle between linear and quadratic. Noise would have to lengthen every
 * reading of the larger input fourfold, and none of the smaller one, for a linear reader to fail.
 */
const MAX_RATIO = STEP ** 1.5;
/** The least size of the first measurement. A cubic reader of a large input is found long before the limit. */
const FIRST_SIZE = 256;
/**
 * A reader that takes no longer than this passes the size unmeasured: with an input of 64 KiB, one that is quadratic takes
 * seconds. What a busy machine adds to a request over a connection stays below it.
 */
const HARMLESS_MS = 50;
/** Readings are repeated until one measurement takes as long as this, because the clock is coarse. */
const MEASURE_MS = 3;
/** The number of measurements of a size before it counts as too slow: noise only ever adds time. */
const ROUNDS = 4;
/** The duration beside which noise is short, so that two rounds are enough. */
const LONG_MS = 1_000;

/** Asserts that a reader takes about linear time at every size up to its limit. */
export async function assertLinear<Input>(growth: Growth<Input>): Promise<void> {
  const steep = await findSteepGrowth(growth);
  if (steep !== undefined) assert.fail(steep);
}

/**
 * The sizes and times that show a reader not to be linear; undefined where none do. The processor's time of this thread
 * decides, so that other programs do not.
 */
export async function findSteepGrowth<Input>({ input, read, limit }: Growth<Input>): Promise<string | undefined> {
  let size = limit;
  while (size / STEP >= FIRST_SIZE) size /= STEP;
  for (; size <= limit; size *= STEP) {
    const larger = input(Math.ceil(size));
    let largerMs = await timed(read, larger);
    if (largerMs <= HARMLESS_MS) continue;
    const smaller = input(Math.ceil(size / STEP));
    let smallerMs = await measure(read, smaller);
    for (let round = 1; round < ROUNDS && largerMs >= MAX_RATIO * smallerMs; round++) {
      if (round > 1 && largerMs > LONG_MS) break;
      largerMs = Math.min(largerMs, await timed(read, larger));
      smallerMs = Math.min(smallerMs, await measure(read, smaller));
    }
    if (largerMs < MAX_RATIO * smallerMs) continue;
    return `${smallerMs.toFixed(3)} ms for a size of ${Math.ceil(size / STEP)}, ` +
      `${largerMs.toFixed(3)} ms for ${STEP} times as much: not linear`;
  }
  return undefined;
}

/** The time of one reading, in milliseconds, over enough of them for a measurement. */
async function measure<Input>(read: (input: Input) => unknown, input: Input): Promise<number> {
  for (let count = 1;; count *= 4) {
    const ms = await timed(read, input, count);
    if (ms >= MEASURE_MS) return ms / count;
  }
}

/** The processor's time of readings, in milliseconds. */
async function timed<Input>(read: (input: Input) => unknown, input: Input, count = 1): Promise<number> {
  const used = process.cpuUsage();
  const startedAt = performance.now();
  for (let run = 0; run < count; run++) {
    try {
      const result = read(input);
      if (result instanceof Promise) await result;
    } catch (error) {
      describeRefusal(error);
    }
  }
  const wallMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(used);
  // The machine's other work lengthens the one, threads of the runtime the other.
  return Math.min(wallMs, (user + system) / 1000);
}
