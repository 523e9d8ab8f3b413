/** What is encoded for one watch is sent to all others that want the same. */
import type { Stored } from "../storage/storage.ts";

/** Watches get an event one right after the other, so that few encodings need be remembered, */
const MAX_STATES = 256;
/** and no more of large ones than this. */
const MAX_BYTES = 16 * 1_048_576;

/** Makes the encodings of states, each once for everybody. */
export class SharedEncodings {
  readonly #known = new Map<Stored, Map<string, Uint8Array>>();
  #bytes = 0;

  /** The encoding of a state in a form, by the name of that form. */
  getOrEncode(stored: Stored, form: string, encode: () => Uint8Array): Uint8Array {
    const found = this.#known.get(stored)?.get(form);
    if (found !== undefined) return found;
    const bytes = encode();
    const forms = this.#known.get(stored) ?? new Map<string, Uint8Array>();
    this.#known.set(stored, forms.set(form, bytes));
    this.#bytes += bytes.length;
    this.#forget();
    return bytes;
  }

  /** The oldest first. */
  #forget(): void {
    for (const [stored, forms] of this.#known) {
      if (this.#known.size <= MAX_STATES && this.#bytes <= MAX_BYTES) return;
      this.#known.delete(stored);
      for (const bytes of forms.values()) this.#bytes -= bytes.length;
    }
  }
}
