/** Measures how the CPU time of a reader grows with its input. Readers of client input must be linear. */
import assert from "node:assert/strict";
import process from "node:process";
import { describeRefusal } from "./describe_refusal.ts";

/** A reader and its inputs. */
interface Growth<Input> {
  /** Creates an input of about this size, in the unit of `limit`. Its creation is not measured. */
  readonly input: (size: number) => Input;
  /** Reads one input. A refusal that the API answers with a 4xx is a valid result. */
  readonly read: (input: Input) => unknown;
  /** The largest size that the server passes to the reader. */
  readonly limit: number;
  /** Returns the CPU time of some readings, in milliseconds; by default it is measured. */
  readonly time?: typeof timed<Input>;
}

/** The factor between the sizes that are tried. */
export const STEP = 16;
/** The largest ratio between the time for twice the input and for the input: 2 is linear, 4 quadratic, 8 cubic. */
const MAX_RATIO = 3;
/** The largest ratio that passes a size in the first rounds. */
const LINEAR_RATIO = 2.2;
/** The smallest size that is tried. A cubic reader already fails at such a size. */
const FIRST_SIZE = 256;
/**
 * A size passes, whatever the ratio, if the reader takes no longer than this. A quadratic one takes seconds for 64 KiB.
 */
const HARMLESS_MS = 10;
/** The shortest measurement. Shorter readings are repeated, because the clock is coarse. */
const MEASURE_MS = 3;
/** The number of measurements before a size counts as too slow. Their minimum counts, because noise only adds time. */
const ROUNDS = 6;
/** The number of measurements with the lower ratio, because noise in the smaller sizes hides growth. */
const LEAST_ROUNDS = 3;
/** The duration from which the smaller number of rounds is enough, because noise is short in comparison. */
const LONG_MS = 200;

/** Asserts that a reader takes about linear time at every size up to its limit. */
export async function assertLinear<Input>(growth: Growth<Input>): Promise<void> {
  const steep = await findSteepGrowth(growth);
  if (steep !== undefined) assert.fail(steep);
}

/**
 * Returns the sizes and times that show that a reader is not linear; undefined if it is. It uses CPU time, so that
 * other programs do not matter.
 */
export async function findSteepGrowth<Input>(growth: Growth<Input>): Promise<string | undefined> {
  const { input, read, limit, time = timed } = growth;
  let size = limit;
  while (size / STEP >= FIRST_SIZE) size /= STEP;
  for (; size <= limit; size *= STEP) {
    const one = input(Math.ceil(size));
    // The first reading may compile the reader.
    if (await time(read, one) <= HARMLESS_MS || await time(read, one) <= HARMLESS_MS) continue;
    const steep = await measureDoublings(growth, size);
    if (steep !== undefined) return steep;
  }
  return undefined;
}

/** Requires two slow doublings, because the garbage collector can slow down one of them. */
async function measureDoublings<Input>(
  { input, read, time = timed }: Growth<Input>,
  largest: number,
): Promise<string | undefined> {
  const inputs = [largest / 4, largest / 2, largest].map((size) => input(Math.ceil(size)));
  const times = inputs.map(() => Infinity);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, one] of inputs.entries()) times[at] = Math.min(times[at]!, await measure(read, one, time));
    const [quarter = 0, half = 0, whole = 0] = times;
    const isEarly = round + 1 < LEAST_ROUNDS;
    const ratio = isEarly ? LINEAR_RATIO : MAX_RATIO;
    // The first readings may have been slow only because of noise.
    if (whole <= HARMLESS_MS || whole < ratio * half || half < ratio * quarter) return undefined;
    if (!isEarly && whole > LONG_MS) break;
  }
  const list = times.map((ms) => `${ms.toFixed(3)} ms`).join(", ");
  return `${list} for a size of ${Math.ceil(largest / 4)}, twice and four times as much: not linear`;
}

/** Returns the average time of a reading in milliseconds. */
async function measure<Input>(
  read: (input: Input) => unknown,
  input: Input,
  time: typeof timed<Input>,
): Promise<number> {
  for (let count = 1;; count *= 4) {
    const ms = await time(read, input, count);
    if (ms >= MEASURE_MS) return ms / count;
  }
}

/** Returns the CPU time of readings, in milliseconds. */
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
  // Other programs add to the wall time, and other threads of the runtime to the CPU time.
  return Math.min(wallMs, (user + system) / 1000);
}
