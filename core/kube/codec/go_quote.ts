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

/** Made when text beyond ASCII is met: the tables of Unicode behind it take a while. */
let printable: RegExp | undefined;

/** Tells whether Go's `unicode.IsPrint` holds for one character: letters, marks, numbers, punctuation, symbols, space. */
export function isPrintable(character: string): boolean {
  printable ??= /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
  return printable.test(character);
}

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
