/** How much a cache may hold. */
export interface FifoCacheLimits {
  /** The largest number of entries; the oldest one is evicted first. */
  readonly maxEntries: number;
  /** Entries with a longer key are not stored, because they are not worth their memory. */
  readonly maxKeyLength: number;
}

/** A bounded cache of results that depend on a text alone. The entry that was stored first is evicted first. */
export class FifoCache<T> {
  readonly #limits: FifoCacheLimits;
  readonly #entries = new Map<string, T>();

  constructor(limits: FifoCacheLimits) {
    this.#limits = limits;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  /** Stores the value of a key that the cache does not hold yet. */
  set(key: string, value: T): void {
    if (key.length > this.#limits.maxKeyLength) return;
    const oldest = this.#entries.size >= this.#limits.maxEntries ? this.#entries.keys().next() : undefined;
    if (oldest?.done === false) this.#entries.delete(oldest.value);
    this.#entries.set(key, value);
  }
}
