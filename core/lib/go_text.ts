/**
 * Reads, sorts, measures and prints text, JSON and 64-bit integers as Go does, because the messages that Kubernetes clients
 * see depend on it.
 */

/** Returns the number of bytes of text in UTF-8, the unit of every limit on names and values. */
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
  return `[]string{${items.map(goQuote).join(", ")}}`;
}

/** Prints JSON as Go's `json.Marshal` does. */
export function marshalJson(value: unknown): string {
  return value === undefined ? "null" : escapeGoJson(JSON.stringify(value));
}

/** The characters that Go's encoder escapes although JSON does not require it; they only occur in strings. */
const UNSAFE = /[<>&\u2028\u2029]/;

/** Escapes `<`, `>`, `&` and the two line separators in JSON text, as Go's encoder does. */
export function escapeGoJson(text: string): string {
  if (!UNSAFE.test(text)) return text;
  return text.replace(new RegExp(UNSAFE, "g"), (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function isPairAt(text: string, index: number): boolean {
  const first = text.charCodeAt(index);
  const second = text.charCodeAt(index + 1);
  return first >= 0xd800 && first <= 0xdbff && second >= 0xdc00 && second <= 0xdfff;
}

const SHORT: ReadonlyMap<string, string> = new Map([
  ["\x07", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
  ["\\", "\\\\"],
  ['"', '\\"'],
]);

/** Compiled on first use, because its Unicode tables load slowly. */
let printable: RegExp | undefined;

/** Reports whether a character is a letter, mark, number, punctuation, symbol or space (Go's `unicode.IsPrint`). */
export function isPrintable(character: string): boolean {
  printable ??= /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
  return printable.test(character);
}

/** The escaped form of each ASCII character. */
const ASCII: readonly string[] = Array.from({ length: 0x80 }, (_, code) => {
  const char = String.fromCharCode(code);
  return SHORT.get(char) ?? (char >= " " && char <= "~" ? char : escapeCodePoint(char));
});

/** Quotes text as Go does, quotation marks included. */
export function goQuote(text: string): string {
  return `"${goEscape(text)}"`;
}

/** Prints a list of strings as Go's `%q` does: `["a" "b"]`. */
export function goQuoteList(items: readonly string[]): string {
  return `[${items.map(goQuote).join(" ")}]`;
}

/** Escapes text as Go does, without quotation marks around it. */
export function goEscape(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return text;
  let out = "";
  for (const char of text) {
    out += ASCII[char.charCodeAt(0)] ?? (isPrintable(char) ? char : escapeCodePoint(char));
  }
  return out;
}

function escapeCodePoint(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  const byte = escapedByte(code);
  if (byte !== undefined) return `\\x${byte.toString(16)}`;
  if (code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}

/** Decodes UTF-8. Invalid bytes become lone surrogates U+DC80 to U+DCFF, so that error messages can still show them. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return escapedText(bytes);
  }
}

/** Returns the invalid byte that a lone surrogate of `decodeUtf8` represents. */
export function escapedByte(code: number): number | undefined {
  return code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : undefined;
}

function escapedText(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < bytes.length;) {
    const width = characterWidth(bytes, at);
    if (width === 0) {
      parts.push(decoder.decode(bytes.subarray(start, at)), String.fromCharCode(0xdc00 + (bytes[at] ?? 0)));
      start = at + 1;
    }
    at += Math.max(width, 1);
  }
  parts.push(decoder.decode(bytes.subarray(start)));
  return parts.join("");
}

/** Returns the number of bytes of the character at an offset, or 0 if it is invalid (RFC 3629 section 4). */
function characterWidth(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const width = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  const second = bytes[at + 1] ?? 0;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (width === 0 || second < low || second > high) return 0;
  for (let i = 2; i < width; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  return width;
}

/** Code units that may sort differently from their UTF-8 bytes. */
const HIGH = /[\ud800-\uffff]/;
/** The number of units compared one by one. For longer common prefixes, as in storage keys, native comparison is faster. */
const UNITS_IN_LOOP = 12;

/** Compares two texts by their UTF-8 bytes. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (i === UNITS_IN_LOOP && !(HIGH.test(a) && HIGH.test(b))) return a === b ? 0 : a < b ? -1 : 1;
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Returns the keys of an object in Go's order. */
export function sortedKeys(object: object): string[] {
  const keys = Object.keys(object);
  return keys.length < 2 ? keys : keys.sort(compareBytes);
}

/** Copies an object with its members in Go's order and without undefined ones. */
export function sortMembers(object: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(sortedKeys(object).flatMap((key) => object[key] === undefined ? [] : [[key, object[key]]]));
}

/** Ranks surrogates above all other units, because they encode the code points beyond U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

/**
 * Parses a decimal 64-bit integer as Go's `strconv.ParseInt` does; undefined for any other text. Unlike a JSON number, it may
 * have a plus sign and leading zeros.
 */
export function parseInt64(text: string): bigint | undefined {
  return toInt64(text.replace(/^([+-]?)0+(?=\d)/, "$1").replace(/^\+(?=\d)/, ""));
}

/** The largest JavaScript number below 2^63. Its decimal text is below 2^63 too, so that clients in Go can read it. */
export const INT64_LIMIT = 2 ** 63 - 1024;

/** Clamps a number that rounding has moved out of the range of an int64. */
export function clampToInt64(value: number): number {
  return Math.max(-INT64_LIMIT, Math.min(INT64_LIMIT, value));
}

export const MIN_INT64 = -(2n ** 63n);
export const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Parses a JSON number as a 64-bit integer; undefined for any other number. Without a target type, Go decodes such text as
 * int64 and any other number as float64 (sigs.k8s.io/json `decode.go`).
 */
export function toInt64(literal: string): bigint | undefined {
  // BigInt parses in more than linear time, and longer numbers do not fit anyway.
  if (!/^-?[0-9]{1,20}$/.test(literal)) return undefined;
  const whole = BigInt(literal);
  return whole < MIN_INT64 || whole > MAX_INT64 ? undefined : whole;
}

/** Converts a JSON number to an int64 as Go does; a float beyond the range becomes the smallest one, as on amd64. */
export function convertToInt64(literal: string): bigint {
  const value = Number(literal);
  return toInt64(literal) ?? (Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : MIN_INT64);
}
