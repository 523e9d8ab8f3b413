/** Brands for checked text, and secrets, which are never printed and are compared in constant time. */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";

/** A string (or another base type) that has passed a check; only its parser creates one. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/**
 * A value that must not be printed. Its conversion to text, to JSON or for inspection returns `[redacted]`; only
 * `reveal` returns the content.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** Returns the content. Call it where the secret is used, never where it might be logged. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[redacted]";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "[redacted]";
  }
}

/**
 * Reports whether two texts are equal, in a time that depends on their lengths but not on where they differ.
 * `tests/constant_time_test.ts` checks that no other code compares secrets.
 */
export function equalsInConstantTime(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
