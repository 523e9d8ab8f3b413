/** One token bucket for each key, such as a user: a burst, and then a steady rate. */

/** The size and the rate of each bucket. */
export interface BucketSize {
  /** The number of tokens in a full bucket. */
  readonly burst: number;
  /** The time until a bucket gets one more token, in milliseconds. */
  readonly refillMs: number;
}

/** The buckets of all keys; an unknown key has a full bucket. */
export interface TokenBuckets {
  /** Takes a token; returns false when the bucket is empty. */
  take(key: string): boolean;
  /** Takes a token in advance; returns the milliseconds until it is available. */
  reserve(key: string): number;
  /** Removes the buckets that are full again. */
  sweep(): void;
}

/** Creates the buckets; `now` is monotonic, in milliseconds. */
export function createTokenBuckets(now: () => number, { burst, refillMs }: BucketSize): TokenBuckets {
  /** The tokens of each bucket at a time. */
  const buckets = new Map<string, { readonly tokens: number; readonly at: number }>();

  function countTokens(key: string, at: number): number {
    const bucket = buckets.get(key);
    return bucket === undefined ? burst : Math.min(burst, bucket.tokens + (at - bucket.at) / refillMs);
  }

  return {
    take(key) {
      const at = now();
      const tokens = countTokens(key, at);
      if (tokens < 1) return false;
      buckets.set(key, { tokens: tokens - 1, at });
      return true;
    },
    reserve(key) {
      const at = now();
      const tokens = countTokens(key, at) - 1;
      buckets.set(key, { tokens, at });
      return tokens >= 0 ? 0 : Math.ceil(-tokens * refillMs);
    },
    sweep() {
      const at = now();
      for (const key of buckets.keys()) if (countTokens(key, at) >= burst) buckets.delete(key);
    },
  };
}
