/** What was used last, up to a size: what is added pushes out what was not used since its last turn (CLOCK). */

/** Something that can be let go and got again. */
export interface Reclaimable {
  /** Set by whoever uses it; unset as its turn comes. */
  isUsed: boolean;
  release(): void;
}

/** Keeps things of a size together. */
export class ClockCache<T extends Reclaimable> {
  readonly #most: number;
  /** In the order of their turns; those before `#next` had theirs. */
  #line: { readonly thing: T; readonly size: number }[] = [];
  #next = 0;
  #size = 0;

  /** The sizes of what is kept add up to this at most. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Keeps one more thing, which is not kept yet. */
  add(thing: T, size: number): void {
    thing.isUsed = false;
    this.#line.push({ thing, size });
    this.#size += size;
    while (this.#size > this.#most) this.#turn();
    // Moved once in a while, so that it costs nothing each time.
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
