/** A cache of encoded events, so that several watches share one encoding. */
import type { Stored } from "../storage/storage.ts";

/** The largest number of cached states. All watches get an event in quick succession, so a few are enough. */
const MAX_STATES = 256;
/** The largest number of cached bytes. */
const MAX_BYTES = 16 * 1_048_576;

/** Encodes stored states, each only once. */
export class SharedEncodings {
  readonly #known = new Map<Stored, Map<string, Uint8Array>>();
  #bytes = 0;

  /** Returns the encoding of a state in the form of this name. */
  getOrEncode(stored: Stored, form: string, encode: () => Uint8Array): Uint8Array {
    const found = this.#known.get(stored)?.get(form);
    if (found !== undefined) return found;
    const bytes = encode();
    const forms = this.#known.get(stored) ?? new Map<string, Uint8Array>();
    this.#known.set(stored, forms.set(form, bytes));
    this.#bytes += bytes.length;
    this.#evict();
    return bytes;
  }

  /** Removes the oldest states beyond the limits. */
  #evict(): void {
    for (const [stored, forms] of this.#known) {
      if (this.#known.size <= MAX_STATES && this.#bytes <= MAX_BYTES) return;
      this.#known.delete(stored);
      for (const bytes of forms.values()) this.#bytes -= bytes.length;
    }
  }
}
