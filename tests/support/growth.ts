/** Measures how the time of a reader grows with its input, so that a reader of client input that is not linear fails a test. */
import assert from "node:assert/strict";
import process from "node:process";
import { describeRefusal } from "./describe_refusal.ts";

/** A reader and the inputs that it is measured with. */
interface Growth<Input> {
  /** An input of about this size, in the unit of `limit`. It is made once and is no part of the measured time. */
  readonly input: (size: number) => Input;
  /** Reads one input. A refusal that the API answers with a 4xx is a result like any other. */
  readonly read: (input: Input) => unknown;
  /** The largest size that the server lets through to the reader. */
  readonly limit: number;
  /** Returns the processor's time of some readings, in milliseconds. By default they are made and measured. */
  readonly time?: typeof timed<Input>;
}

/** The factor between the sizes that are tried; the measurement of a size that is not harmless goes by doublings. */
export const STEP = 16;
/** Time for twice the input over time for the input: 2 for a linear reader, 4 for a quadratic one, 8 for a cubic one. */
const MAX_RATIO = 3;
/** The ratio that passes a size at once. */
const LINEAR_RATIO = 2.2;
/** The least size of the first measurement. A cubic reader of a large input is found long before the limit. */
const FIRST_SIZE = 256;
/**
 * A reader that takes no longer than this for a size passes it, whatever the ratio: with an input of 64 KiB, one that is
 * quadratic takes seconds.
 */
const HARMLESS_MS = 10;
/** Readings are repeated until one measurement takes as long as this, because the clock is coarse. */
const MEASURE_MS = 3;
/** The number of measurements of a size before it counts as too slow: noise only ever adds time. */
const ROUNDS = 6;
/** The number of measurements before a ratio in between passes a size, because noise in the smaller sizes hides growth. */
const LEAST_ROUNDS = 3;
/** From this duration on, noise is short in comparison, so that the least number of rounds is enough. */
const LONG_MS = 200;

/** Asserts that a reader takes about linear time at every size up to its limit. */
export async function assertLinear<Input>(growth: Growth<Input>): Promise<void> {
  const steep = await findSteepGrowth(growth);
  if (steep !== undefined) assert.fail(steep);
}

/**
 * The sizes and times that show a reader not to be linear; undefined where none do. The processor's time of this thread
 * decides, so that other programs do not.
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

/** Two doublings have to be too slow: the garbage collector may begin to work at a size, but only at one. */
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
    // Noise in the first readings may have brought a harmless size here.
    if (whole <= HARMLESS_MS || whole < ratio * half || half < ratio * quarter) return undefined;
    if (!isEarly && whole > LONG_MS) break;
  }
  const list = times.map((ms) => `${ms.toFixed(3)} ms`).join(", ");
  return `${list} for a size of ${Math.ceil(largest / 4)}, twice and four times as much: not linear`;
}

/** The time of one reading, in milliseconds, over enough of them for a measurement. */
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
