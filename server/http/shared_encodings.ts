/** What is encoded for one watch is sent to all others that want the same. */
import type { Stored } from "../storage/storage.ts";

/** Watches get an event one right after the other, so that few encodings need be remembered. */
const MAX_REMEMBERED = 256;

/** Makes the encodings of states, each once for everybody. */
export class SharedEncodings {
  readonly #known = new Map<Stored, Map<string, Uint8Array>>();

  /** The encoding of a state in a form, by the name of that form. */
  of(stored: Stored, form: string, encode: () => Uint8Array): Uint8Array {
    let forms = this.#known.get(stored);
    if (forms === undefined) {
      const oldest = this.#known.size >= MAX_REMEMBERED ? this.#known.keys().next() : undefined;
      if (oldest?.done === false) this.#known.delete(oldest.value);
      this.#known.set(stored, forms = new Map());
    }
    let bytes = forms.get(form);
    if (bytes === undefined) forms.set(form, bytes = encode());
    return bytes;
  }
}
