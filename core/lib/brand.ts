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
