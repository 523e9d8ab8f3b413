/** The delay before a failed watch is tried again: client-go's reflector backoff. */

const FIRST_MS = 800;
const LONGEST_MS = 30_000;

/**
 * Returns the milliseconds before try `attempt` + 1 (attempts count from 0): 800 ms, doubled up to 30 s, then up to
 * twice that by jitter, so that a thousand nodes do not reconnect at once (client-go `tools/cache/reflector.go`).
 *
 * @param random uniform in [0, 1)
 */
export function reconnectDelayMs(attempt: number, random: () => number): number {
  // 2^6 already exceeds the cap; a larger exponent would only overflow.
  const base = Math.min(FIRST_MS * 2 ** Math.min(attempt, 6), LONGEST_MS);
  return Math.round(base * (1 + random()));
}
