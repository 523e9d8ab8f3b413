/** Go's `strconv.Quote`: error texts that quote input must look the same as kube-apiserver's. */
import { escapedByte } from "./_utf8.ts";

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

/** What Go calls printable beyond ASCII, beside its space: letters, marks, numbers, punctuation, symbols. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** Each character of ASCII as it is escaped. */
const ASCII: readonly string[] = Array.from({ length: 0x80 }, (_, code) => {
  const char = String.fromCharCode(code);
  return SHORT.get(char) ?? (char >= " " && char <= "~" ? char : escapeCodePoint(char));
});

/** Quotes text as Go does, quotation marks included. */
export function goQuote(text: string): string {
  return `"${goEscape(text)}"`;
}

/** The same without the quotation marks. */
export function goEscape(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return text;
  let out = "";
  for (const char of text) {
    out += ASCII[char.charCodeAt(0)] ?? (PRINTABLE.test(char) ? char : escapeCodePoint(char));
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
