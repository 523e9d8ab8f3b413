/**
 * How many values one document may hold. A body of 3 MiB has room for a million and a half of them, each of which costs
 * a hundred bytes and more once it is read, and microseconds at every step of a write. An object that fits into a store
 * (1.5 MiB) has room for 50,000 keys and the same keys in its managed fields.
 */
import { requestEntityTooLarge } from "../status.ts";

/** Elements of lists and members of objects and maps, at all depths together. */
export const MAX_ELEMENTS = 100_000;
/** A field that comes again is merged with what it held: this bounds the values that are gone through once more. */
const MAX_REVISITED = 1_000_000;

/** Counts the values of one document while it is read. */
export class ElementBudget {
  readonly #most: number;
  #count = 0;
  #revisited = 0;

  constructor(most: number = MAX_ELEMENTS) {
    this.#most = most;
  }

  /** For what no client sent: values of a store, answers of a server. */
  static unlimited(): ElementBudget {
    return new ElementBudget(Number.POSITIVE_INFINITY);
  }

  /** Counts one value. Throws StatusError 413 beyond the limit. */
  add(): void {
    if (++this.#count > this.#most) throw this.#tooMany("elements");
  }

  /** Counts a field that came before: whatever was read so far may belong to it. Throws StatusError 413. */
  addRepeat(): void {
    this.#revisited += this.#count;
    if (this.#revisited > Math.max(this.#most, MAX_REVISITED)) throw this.#tooMany("repeated fields");
  }

  #tooMany(what: string) {
    return requestEntityTooLarge(`the object has too many ${what}, at most ${this.#most} elements are read`);
  }
}
