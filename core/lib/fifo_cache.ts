/** How much a cache may hold. */
export interface FifoCacheLimits {
  /** The largest number of entries; the oldest one is evicted first. */
  readonly maxEntries: number;
  /** Entries with a longer key are not stored, because they are not worth their memory. */
  readonly maxKeyLength: number;
  /** The largest length of all keys together, for values whose memory grows with their key; unlimited by default. */
  readonly maxTotalLength?: number;
}

/** A bounded cache of results that depend on a text alone. The entry that was stored first is evicted first. */
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

  /** Stores the value of a key that the cache does not hold yet. */
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
