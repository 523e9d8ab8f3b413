/**
 * A cache of limited size that evicts entries which have not been used since the clock hand last passed them (CLOCK).
 */

/** An entry that can be released and loaded again. */
export interface Reclaimable {
  /** Set by each use, and cleared when the clock hand passes the entry. */
  isUsed: boolean;
  release(): void;
}

/** Keeps entries whose sizes add up to at most a limit. */
export class ClockCache<T extends Reclaimable> {
  readonly #most: number;
  /** Entries in the order in which the clock hand passes them; it has passed those before `#next`. */
  #line: { readonly thing: T; readonly size: number }[] = [];
  #next = 0;
  #size = 0;

  /**
   * @param most the limit for the sum of all sizes
   */
  constructor(most: number) {
    this.#most = most;
  }

  /** Adds an entry that is not in the cache yet. */
  add(thing: T, size: number): void {
    thing.isUsed = false;
    this.#line.push({ thing, size });
    this.#size += size;
    while (this.#size > this.#most) this.#turn();
    // The array is cut only now and then, which costs nearly nothing for each addition.
    if (this.#next * 2 <= this.#line.length) return;
    this.#line = this.#line.slice(this.#next);
    this.#next = 0;
  }

  #turn(): void {
    const entry = this.#line[this.#next++]!;
    const { thing, size } = entry;
    if (thing.isUsed) {
      thing.isUsed = false;
      this.#line.push(entry);
      return;
    }
    this.#size -= size;
    thing.release();
  }
}
