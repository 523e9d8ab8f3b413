/** Integers of 64 bits: as text, as JavaScript numbers, and as Go converts them. */

/** Parses a decimal number of 64 bits as Go's `strconv.ParseInt` does; undefined for anything else. */
export function parseInt64(text: string): bigint | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ""));
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/** The largest number below 2^63 that JavaScript has; its decimal text is below 2^63 too, for clients in Go. */
export const INT64_LIMIT = 2 ** 63 - 1024;

/** Brings a number that was rounded out of the range of an int64 back into it. */
export function clampToInt64(value: number): number {
  return Math.max(-INT64_LIMIT, Math.min(INT64_LIMIT, value));
}

export const MIN_INT64 = -(2n ** 63n);
export const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Parses a JSON number as an integer of 64 bits; undefined for any other number. Where Go knows no type, it decodes such
 * text as int64 and any other as float64 (sigs.k8s.io/json `decode.go`).
 */
export function toInt64(literal: string): bigint | undefined {
  // BigInt parses in more than linear time, and longer numbers do not fit anyway.
  if (!/^-?[0-9]{1,20}$/.test(literal)) return undefined;
  const whole = BigInt(literal);
  return whole < MIN_INT64 || whole > MAX_INT64 ? undefined : whole;
}

/** Converts a JSON number to an int64 as Go does; a float beyond the range becomes the smallest one, as on amd64. */
export function convertToInt64(literal: string): bigint {
  const value = Number(literal);
  return toInt64(literal) ?? (Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : MIN_INT64);
}
