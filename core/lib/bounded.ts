/** Bounded state by key: a cache of limited size, and a rate limit for each key. */

interface FifoCacheLimits {
  /** The maximum number of entries. */
  readonly maxEntries: number;
  /** The maximum length of a key. Entries with longer keys are not stored. */
  readonly maxKeyLength: number;
  /** The maximum total length of all keys, for values whose memory grows with their key; unlimited by default. */
  readonly maxTotalLength?: number;
}

/** A bounded cache of values that are computed from a text. The oldest entry is evicted first. */
export class FifoCache<T> {
  readonly #limits: FifoCacheLimits;
  readonly #entries = new Map<string, T>();
  #totalLength = 0;

  constructor(limits: FifoCacheLimits) {
    this.#limits = limits;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  /** Stores a value. The cache must not contain the key yet. */
  set(key: string, value: T): void {
    const { maxEntries, maxKeyLength, maxTotalLength = Infinity } = this.#limits;
    if (key.length > maxKeyLength) return;
    this.#entries.set(key, value);
    this.#totalLength += key.length;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= maxEntries && this.#totalLength <= maxTotalLength) return;
      this.#entries.delete(oldest);
      this.#totalLength -= oldest.length;
    }
  }
}

/** The size and the refill rate of each bucket. */
interface BucketSize {
  /** The number of tokens in a full bucket. */
  readonly burst: number;
  /** The time until a bucket gets one more token, in milliseconds. */
  readonly refillMs: number;
}

/** Token buckets by key; an unknown key has a full bucket. */
interface TokenBuckets {
  /** Takes a token; returns false when the bucket is empty. */
  take(key: string): boolean;
  /** Takes a token in advance; returns the milliseconds until it is available. */
  reserve(key: string): number;
  /** Removes the buckets that are full again. */
  sweep(): void;
}

/** Creates the buckets; `now` is monotonic, in milliseconds. */
export function createTokenBuckets(now: () => number, { burst, refillMs }: BucketSize): TokenBuckets {
  /** The number of tokens in each bucket when it was last used. */
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
