/** Prints YAML as kubectl does: two spaces, lists not indented, keys in natural order, quotes only where needed. */
import { resolvePlain } from "./scalar.ts";

/** Formats a JSON value, without members that are undefined. The text ends with a line break. */
export function formatYaml(value: unknown): string {
  const lines: string[] = [];
  writeValue(lines, value, "", "", "  ");
  return `${lines.join("\n")}\n`;
}

/**
 * Writes any value. `head` precedes the value on its line, `pad` precedes its further lines, and `textPad` the further
 * lines of a string.
 */
function writeValue(lines: string[], value: unknown, head: string, pad: string, textPad: string): void {
  if (isNonEmptyMap(value)) writeMap(lines, value, head, pad);
  else if (isNonEmptyList(value)) writeList(lines, value, head, pad);
  else lines.push(`${head}${formatScalar(value, textPad, head.length)}`);
}

function writeMap(lines: string[], map: Readonly<Record<string, unknown>>, head: string, pad: string): void {
  let before = head;
  for (const key of Object.keys(map).sort(compareYamlKeys)) {
    const value = map[key];
    if (value === undefined) continue;
    if (/[\n\r\u2028\u2029]/.test(key) || key.length > MAX_SIMPLE_KEY) {
      lines.push(`${before}? ${formatString(key, `${pad}  `, Number.NEGATIVE_INFINITY)}`);
      writeValue(lines, value, `${pad}: `, `${pad}  `, `${pad}  `);
    } else writePair(lines, `${before}${formatLine(key)}:`, value, pad);
    before = pad;
  }
}

/** Writes a key and its value. Maps are indented by two spaces under their key, lists are not. */
function writePair(lines: string[], head: string, value: unknown, pad: string): void {
  if (isNonEmptyMap(value)) {
    lines.push(head);
    writeMap(lines, value, `${pad}  `, `${pad}  `);
  } else if (isNonEmptyList(value)) {
    lines.push(head);
    writeList(lines, value, pad, pad);
  } else lines.push(`${head} ${formatScalar(value, `${pad}  `, head.length + 1)}`);
}

function writeList(lines: string[], list: readonly unknown[], head: string, pad: string): void {
  let before = head;
  for (const item of list) {
    writeValue(lines, item, `${before}- `, `${pad}  `, `${pad}  `);
    before = pad;
  }
}

/** The longest key that does not need the explicit form (libyaml's limit for simple keys). */
const MAX_SIMPLE_KEY = 128;
/** The column after which lines are broken at the first space. */
const MAX_WIDTH = 80;
/** Matches characters that are escaped: tabs, control characters and all beyond the Basic Multilingual Plane. */
const UNPRINTABLE = /[^\n -~\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/u;
/**
 * Matches the printable line breaks. go-yaml writes them unescaped and indents the text after them (`emitterc.go`,
 * write_break).
 */
const BREAK = /[\n\u2028\u2029]/;
const TIMESTAMP = /^\d{4}-\d{1,2}-\d{1,2}(?:[Tt ]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?$/;
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;

function formatScalar(value: unknown, pad: string, column: number): string {
  if (typeof value === "string") return formatString(value, pad, column);
  if (Array.isArray(value)) return "[]";
  if (typeof value === "object" && value !== null) return "{}";
  return value === null || value === undefined ? "null" : String(value);
}

function formatString(text: string, pad: string, column: number): string {
  if (text.includes("\n")) {
    return isBlockAllowed(text) ? formatBlock(text, pad) : foldDouble(quoteDouble(text), pad, column);
  }
  const line = formatLine(text);
  if (line.startsWith('"')) return foldDouble(line, pad, column);
  return foldLine(line, pad, column);
}

function formatLine(text: string): string {
  if (resolvePlain(text) !== text || TIMESTAMP.test(text) || BASE_60.test(text)) return quoteDouble(text);
  if (UNPRINTABLE.test(text) || /[\u2028\u2029] | [\u2028\u2029]/.test(text)) return quoteDouble(text);
  return isPlainAllowed(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

/** Breaks plain and single-quoted text at single spaces beyond the width, as the YAML library of kubectl does. */
function foldLine(line: string, pad: string, column: number): string {
  if (line.length + column <= MAX_WIDTH && !BREAK.test(line)) return line;
  const inner = line.startsWith("'") ? 1 : 0;
  return fold(
    line,
    pad,
    column,
    (at) => at > inner && line[at + 1] !== " " && at < line.length - 1 - inner ? "" : undefined,
  );
}

/** Breaks text inside double quotes, where a space after the break must be escaped. */
function foldDouble(line: string, pad: string, column: number): string {
  if (line.length + column <= MAX_WIDTH) return line;
  return fold(line, pad, column, (at) => {
    if (at <= 1 || at >= line.length - 2) return undefined;
    return line[at + 1] === " " ? "\\" : "";
  });
}

/** Breaks a line. `breakAt` returns the start of the next line, or undefined if there may be no break. */
function fold(line: string, pad: string, start: number, breakAt: (at: number) => string | undefined): string {
  let out = "";
  let column = start;
  let at = 0;
  for (const char of line) {
    const isBroken = at > 0 && BREAK.test(line[at - 1] ?? "");
    if (isBroken && at < line.length - 1 && !BREAK.test(char)) {
      out += pad;
      column = pad.length;
    }
    const next = char === " " && line[at - 1] !== " " && column > MAX_WIDTH ? breakAt(at) : undefined;
    if (next === undefined) {
      out += char;
      column++;
    } else {
      out += `\n${pad}${next}`;
      column = pad.length + next.length;
    }
    at += char.length;
  }
  return out;
}

function isPlainAllowed(text: string): boolean {
  return !/^[ #,[\]{}&*!|>'"%@`]|^[-?:](?: |$)|^---|^\.\.\.|:(?: |$)| #| $|[\u2028\u2029]/.test(text);
}

function isBlockAllowed(text: string): boolean {
  return !UNPRINTABLE.test(text) && !/ [\n\u2028\u2029]|[ \u2028\u2029]$/.test(text);
}

function formatBlock(text: string, pad: string): string {
  const indent = /^[ \n\u2028\u2029]/.test(text) ? "2" : "";
  const chomp = !text.endsWith("\n") ? "-" : text === "\n" || /[\n\u2028\u2029]\n$/.test(text) ? "+" : "";
  const body = text.endsWith("\n") ? text.slice(0, -1) : text;
  const lines = `\n${body}`.replace(/[\n\u2028\u2029]+(?![\n\u2028\u2029]|$)/g, (breaks) => `${breaks}${pad}`);
  return `|${indent}${chomp}${lines}`;
}

const DOUBLE_ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x00, "0"],
  [0x07, "a"],
  [0x08, "b"],
  [0x09, "t"],
  [0x0a, "n"],
  [0x0b, "v"],
  [0x0c, "f"],
  [0x0d, "r"],
  [0x1b, "e"],
  [0x22, '"'],
  [0x5c, "\\"],
  [0x85, "N"],
  [0xa0, "_"],
  [0x2028, "L"],
  [0x2029, "P"],
]);

function quoteDouble(text: string): string {
  let out = "";
  for (const char of text.toWellFormed()) {
    const code = char.codePointAt(0) ?? 0;
    const short = DOUBLE_ESCAPES.get(code);
    // A non-breaking space is printable and stays.
    if (short !== undefined && code !== 0xa0) out += `\\${short}`;
    else if (UNPRINTABLE.test(char)) out += escapeHex(code);
    else out += char;
  }
  return `"${out}"`;
}

function escapeHex(code: number): string {
  const [letter, digits] = code <= 0xff ? ["x", 2] : code <= 0xffff ? ["u", 4] : ["U", 8];
  return `\\${letter}${code.toString(16).toUpperCase().padStart(Number(digits), "0")}`;
}

/** Compares letters by code point, after everything else, and runs of digits by their value (go-yaml v2 `sorter.go`). */
export function compareYamlKeys(left: string, right: string): number {
  const at = firstDifference(left, right);
  const x = left.codePointAt(at);
  const y = right.codePointAt(at);
  if (x === undefined || y === undefined) return left.length - right.length;
  const [xLetter, yLetter] = [isLetter(x), isLetter(y)];
  if (xLetter !== yLetter) return xLetter ? 1 : -1;
  if (!xLetter) {
    // A zero within a number is one of its digits; a zero at its start is not.
    const lead = (x === ZERO || y === ZERO) && endsInNumber(left, at) ? "1" : "";
    const [xDigits, yDigits] = [digitsFrom(left, at), digitsFrom(right, at)];
    const byValue = compareNumbers(lead + xDigits, lead + yDigits);
    if (byValue !== 0) return byValue;
    if (xDigits.length !== yDigits.length) return xDigits.length - yDigits.length;
  }
  return x - y;
}

const ZERO = 0x30;

function firstDifference(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  let at = 0;
  while (at < length && left.charCodeAt(at) === right.charCodeAt(at)) at++;
  const isWithinPair = at > 0 && left.codePointAt(at - 1) !== right.codePointAt(at - 1);
  return isWithinPair ? at - 1 : at;
}

function isLetter(codePoint: number): boolean {
  return codePoint < 0x80
    ? (codePoint | 0x20) >= 0x61 && (codePoint | 0x20) <= 0x7a
    : /\p{L}/u.test(String.fromCodePoint(codePoint));
}

/** Reports whether the digits right before a position have a value other than zero. */
function endsInNumber(text: string, end: number): boolean {
  for (let at = end - 1; at >= 0; at--) {
    const code = text.charCodeAt(at);
    if (code > ZERO && code <= 0x39) return true;
    if (code !== ZERO) return false;
  }
  return false;
}

/** Returns the run of digits at a position; digits beyond ASCII count as zeros. */
function digitsFrom(text: string, from: number): string {
  DIGITS.lastIndex = from;
  return (DIGITS.exec(text)?.[0] ?? "").replace(/[^0-9]+/gu, (others) => "0".repeat(Array.from(others).length));
}

const DIGITS = /\p{Nd}*/uy;

/** Compares two runs of digits of any length by value. */
function compareNumbers(left: string, right: string): number {
  const [x, y] = [left.replace(/^0+/, ""), right.replace(/^0+/, "")];
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}

function isNonEmptyMap(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).some((member) => member !== undefined);
}

function isNonEmptyList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length > 0;
}
