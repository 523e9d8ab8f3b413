/** A string (or other base) that has passed a check; only its parser makes one. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/**
 * A value that must not be printed. Converting it to text, JSON or an inspection shows `[redacted]`; `reveal` is the
 * one way to the content.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The content; call it where the secret is used, never where it might be logged. */
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
