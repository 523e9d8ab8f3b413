/**
 * Numbers as they were sent. Go works on the text of a JSON or merge patch, so `1.0`, `1e3` and integers beyond 2^53
 * come out of it unchanged; a plain number of JavaScript would not keep them.
 */

/** A number whose text differs from what JavaScript prints; a scalar to everything that works on JSON values. */
export class ExactNumber {
  readonly literal: string;

  constructor(literal: string) {
    this.literal = literal;
  }

  /** The nearest number, infinite beyond the range of a float. */
  get value(): number {
    return Number(this.literal);
  }

  /** Lets `JSON.stringify` print the text as it is. */
  toJSON(): unknown {
    return (JSON as unknown as RawJson).rawJSON(this.literal);
  }
}

/** `JSON.rawJSON` (ECMAScript, stage 4), which the types of TypeScript do not have yet. */
interface RawJson {
  rawJSON(text: string): unknown;
}

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * The integer that a text stands for, undefined when it is none or has more than 64 bits. Go makes an int64 of such
 * text where it knows no type, and a float64 of any other (sigs.k8s.io/json `decode.go`).
 */
export function toInt64(literal: string): bigint | undefined {
  // Reading digits takes more than linear time: more than these are too many anyway.
  if (!/^-?[0-9]{1,20}$/.test(literal)) return undefined;
  const whole = BigInt(literal);
  return whole < MIN_INT64 || whole > MAX_INT64 ? undefined : whole;
}

/** A number as Go converts it to an int64; a float beyond the range becomes the smallest one, as on amd64. */
export function convertToInt64(literal: string): bigint {
  const value = Number(literal);
  return toInt64(literal) ?? (Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : MIN_INT64);
}
