/** Text and JSON as Go measures and prints them: the messages that Kubernetes clients see depend on it. */
import { goQuote as quoteText, isPrintable } from "./codec/go_quote.ts";

export { isPrintable, quoteText };

/** The length of text in UTF-8, the unit of every limit on names and values. */
export function byteLength(text: string): number {
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (isPairAt(text, index)) {
      length += 4;
      index += 1;
    } else length += 3;
  }
  return length;
}

/** Prints a list of strings as Go's `%#v` does: `[]string{"a", "b"}`. */
export function printStringSlice(items: readonly string[]): string {
  return `[]string{${items.map(quoteText).join(", ")}}`;
}

/** JSON as Go's `json.Marshal` writes it: `<`, `>`, `&` and the two line separators are escaped. */
export function marshalJson(value: unknown): string {
  const text = value === undefined ? "null" : JSON.stringify(value);
  return text.replace(/[<>&\u2028\u2029]/g, (character) => unicodeEscape(character.charCodeAt(0)));
}

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

function isPairAt(text: string, index: number): boolean {
  const first = text.charCodeAt(index);
  const second = text.charCodeAt(index + 1);
  return first >= 0xd800 && first <= 0xdbff && second >= 0xdc00 && second <= 0xdfff;
}
