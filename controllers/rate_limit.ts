/**
 * The back-off of failed items as pure functions: the exponential and token-bucket rate limiters that upstream's
 * certificate controllers use (`pkg/controller/certificates/certificate_controller.go`, client-go `util/workqueue`).
 */

const BASE_MS = 200;
const MAX_MS = 1_000_000;
const TOKENS_PER_SECOND = 10;
const BURST = 100;

/** Returns the wait after a number of earlier failures in a row: 200 ms, doubled each time, at most 1000 s. */
export function backoffMs(failures: number): number {
  return Math.min(BASE_MS * 2 ** failures, MAX_MS);
}

/** A token bucket of 10 per second and 100 at once. `tokens` is negative when tokens are reserved in advance. */
export interface TokenBucket {
  readonly tokens: number;
  /** The time of `tokens`, in elapsed milliseconds like all times here. */
  readonly at: number;
}

/** Creates a token bucket that is full. */
export function createTokenBucket(now: number): TokenBucket {
  return { tokens: BURST, at: now };
}

/** Reserves one token, which is available after `delayMs`. */
export function reserveToken(
  bucket: TokenBucket,
  now: number,
): { readonly bucket: TokenBucket; readonly delayMs: number } {
  const tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) * TOKENS_PER_SECOND / 1000) - 1;
  return {
    bucket: { tokens, at: now },
    delayMs: tokens >= 0 ? 0 : Math.ceil(-tokens * 1000 / TOKENS_PER_SECOND),
  };
}
