/**
 * Limits the number of values in one document. A body of 3 MiB can hold a million and a half values, each of which takes
 * more than a hundred bytes of memory and microseconds at every step of a write. An object that fits into the store
 * (1.5 MiB) can have 50,000 keys and the same keys in its managed fields.
 */
import { requestEntityTooLarge } from "../status.ts";

/** The largest number of list elements and members of objects and maps, at all depths together. */
export const MAX_ELEMENTS = 100_000;
/** The largest number of values that are processed again because a repeated field is merged with the earlier one. */
const MAX_REVISITED = 1_000_000;

/** Counts the values of one document while it is read. */
export class ElementBudget {
  readonly #most: number;
  #count = 0;
  #revisited = 0;

  constructor(most: number = MAX_ELEMENTS) {
    this.#most = most;
  }

  /** Creates a budget without a limit, for values of a store and answers of a server. */
  static unlimited(): ElementBudget {
    return new ElementBudget(Number.POSITIVE_INFINITY);
  }

  /** Counts one value. Throws StatusError 413 beyond the limit. */
  add(): void {
    if (++this.#count > this.#most) throw this.#tooMany("elements");
  }

  /** Counts a repeated field, to which all values so far may belong. Throws StatusError 413 beyond the limit. */
  addRepeat(): void {
    this.#revisited += this.#count;
    if (this.#revisited > Math.max(this.#most, MAX_REVISITED)) throw this.#tooMany("repeated fields");
  }

  #tooMany(what: string) {
    return requestEntityTooLarge(`the object has too many ${what}, at most ${this.#most} elements are read`);
  }
}
