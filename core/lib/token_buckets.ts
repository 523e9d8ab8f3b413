/** A token bucket for each of many, such as users: so much at once, and then as it fills again. */

/** The size of each bucket. */
export interface BucketSize {
  /** Tokens of a full one. */
  readonly burst: number;
  /** Milliseconds until it has one more. */
  readonly refillMs: number;
}

/** What everybody has left; who has never taken any has a full bucket. */
export interface TokenBuckets {
  /** Takes a token; false when there is none. */
  take(key: string): boolean;
  /** Forgets whose bucket is full again. */
  sweep(): void;
}

/** Creates them; `now` is monotonic, in milliseconds. */
export function createTokenBuckets(now: () => number, { burst, refillMs }: BucketSize): TokenBuckets {
  /** Tokens, and when that was right. */
  const buckets = new Map<string, { readonly tokens: number; readonly at: number }>();

  function tokensOf(key: string, at: number): number {
    const bucket = buckets.get(key);
    return bucket === undefined ? burst : Math.min(burst, bucket.tokens + (at - bucket.at) / refillMs);
  }

  return {
    take(key) {
      const at = now();
      const tokens = tokensOf(key, at);
      if (tokens < 1) return false;
      buckets.set(key, { tokens: tokens - 1, at });
      return true;
    },
    sweep() {
      const at = now();
      for (const key of buckets.keys()) if (tokensOf(key, at) >= burst) buckets.delete(key);
    },
  };
}
