/**
 * Text as Go prints it. The messages that Kubernetes clients see quote values with `%q` and count lengths in bytes;
 * JSON quoting differs for control characters and everything unprintable.
 */

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};

const PLAIN = /^[ !#-[\]-~]*$/;
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** Quotes text as Go's `strconv.Quote` does. */
export function quoteText(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  let quoted = "";
  for (const character of text) quoted += escapeCharacter(character);
  return `"${quoted}"`;
}

/** Tells whether Go's `unicode.IsPrint` holds for one character. */
export function isPrintable(character: string): boolean {
  return PRINTABLE.test(character);
}

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

function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  if (code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  if (isPrintable(character)) return character;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? unicodeEscape(code) : `\\U${code.toString(16).padStart(8, "0")}`;
}

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

function isPairAt(text: string, index: number): boolean {
  const first = text.charCodeAt(index);
  const second = text.charCodeAt(index + 1);
  return first >= 0xd800 && first <= 0xdbff && second >= 0xdc00 && second <= 0xdfff;
}
