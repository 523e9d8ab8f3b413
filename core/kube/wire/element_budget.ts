/**
 * Limits the number of values in one document. A body of 3 MiB can hold 1.5 million values. Each takes more than a hundred
 * bytes of memory, and microseconds at every step of a write: a hundred thousand block the only thread for more than a
 * second. A ConfigMap of 1 MiB with 10,000 keys has 20,000 values, because its managed fields repeat the keys.
 */
import { ExactNumber } from "../json_value.ts";
import { requestEntityTooLarge, type StatusError } from "../status/status.ts";

/** The largest number of list elements and members of objects and maps, at all depths together. */
export const MAX_ELEMENTS = 30_000;
/** The same for a JSON patch, which may have 10,000 operations of five elements each and is cheaper to read. */
export const MAX_JSON_PATCH_ELEMENTS = 100_000;
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
    if (++this.#count > this.#most) throw createTooManyError("elements", this.#most);
  }

  /** Counts a repeated field, to which all values so far may belong. Throws StatusError 413 beyond the limit. */
  addRepeat(): void {
    this.#revisited += this.#count;
    if (this.#revisited > Math.max(this.#most, MAX_REVISITED)) throw createTooManyError("repeated fields", this.#most);
  }
}

/**
 * Limits the number of values in a patched object, because a patch can multiply values by copies. Throws StatusError 413
 * beyond the limit, unless the object had as many before, because an earlier release stored it.
 */
export function assertPatchedElements(patched: unknown, before: unknown): void {
  if (countElements(patched) > Math.max(MAX_ELEMENTS, countElements(before))) {
    throw createTooManyError("elements", MAX_ELEMENTS);
  }
}

function countElements(value: unknown): number {
  let count = 0;
  const open = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null || next instanceof ExactNumber) continue;
    const members: readonly unknown[] = Array.isArray(next) ? next : Object.values(next);
    count += members.length;
    for (const member of members) open.push(member);
  }
  return count;
}

function createTooManyError(what: string, most: number): StatusError {
  return requestEntityTooLarge(`the object has too many ${what}, at most ${most} elements are read`);
}
