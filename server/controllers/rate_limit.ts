/** How long a failed item waits: client-go's controller rate limits (`spec/signers.md` §5), as pure functions. */

const BASE_MS = 200;
const MAX_MS = 1_000_000;
const TOKENS_PER_SECOND = 10;
const BURST = 100;

/** The wait after a number of failures in a row (0 for the first): 200 ms doubled each time, at most 1000 s. */
export function backoffMs(failures: number): number {
  return Math.min(BASE_MS * 2 ** failures, MAX_MS);
}

/** A token bucket: 10 per second, 100 at once. `tokens` is negative when tokens are owed. */
export interface TokenBucket {
  readonly tokens: number;
  /** When `tokens` was right, in elapsed milliseconds as all times here. */
  readonly at: number;
}

/** A full bucket. */
export function createTokenBucket(now: number): TokenBucket {
  return { tokens: BURST, at: now };
}

/** Takes one token, which is there after `delayMs`. */
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
