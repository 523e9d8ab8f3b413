/** Answers that follow from a text alone, kept for the texts that were asked for last. */

/** How much is kept. */
export interface Bounds {
  /** So many answers; the oldest goes first. */
  readonly most: number;
  /** Texts of more characters are not worth their memory. */
  readonly longest: number;
}

/** Answers by their text. */
export class Remembered<T> {
  readonly #bounds: Bounds;
  readonly #answers = new Map<string, T>();

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get(text: string): T | undefined {
    return this.#answers.get(text);
  }

  /** Keeps the answer to a text that has none yet. */
  set(text: string, answer: T): void {
    if (text.length > this.#bounds.longest) return;
    const oldest = this.#answers.size >= this.#bounds.most ? this.#answers.keys().next() : undefined;
    if (oldest?.done === false) this.#answers.delete(oldest.value);
    this.#answers.set(text, answer);
  }
}
