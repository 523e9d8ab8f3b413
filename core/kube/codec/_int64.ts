/** 64 bits in a number. */

/** The largest number below 2^63 that JavaScript has; its decimal text is below 2^63 too, for clients in Go. */
export const INT64_LIMIT = 2 ** 63 - 1024;

/** A number that was rounded out of the range of an int64, back within it. */
export function withinInt64(value: number): number {
  return Math.max(-INT64_LIMIT, Math.min(INT64_LIMIT, value));
}
