/** Converts quantities, times and base64 to their canonical text, with Go's errors. */
import { byteLength, MAX_INT64 } from "../../lib/go_text.ts";
import { DecodeError } from "../json_value.ts";
import { Buffer } from "node:buffer";

const FORM = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)$/;
const DECIMAL_UNITS: readonly string[] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY_UNITS: readonly string[] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/** The number of billionths in one. Amounts are whole billionths; finer ones are rounded up. */
const NANO = 1_000_000_000n;
const EXPONENT = /^[eE][+-]?[0-9]/;
/** The number of decimal digits that always fit an int64. */
const MAX_INT64_DIGITS = 18;
/** The greatest amount with a binary unit; greater ones are reduced to it. */
const MAX_AMOUNT = MAX_INT64 * NANO;
/** The largest exponent; larger ones are reduced to it, so that a hostile exponent cannot exhaust memory. */
const MAX_EXPONENT = 1_000;
/** The largest number of accepted digits, so that a hostile amount cannot exhaust the CPU. */
const MAX_DIGITS = 128;

/** Converts a quantity to canonical form; throws `DecodeError` with Go's message. */
export function canonicalQuantity(text: string): string {
  const { whole, fraction, unit, amount } = readQuantity(text);
  if (isKept(whole, fraction, unit)) return text.trim();
  if (amount === 0n) return "0";
  const magnitude = amount < 0n ? -amount : amount;
  if (unit.endsWith("i") && magnitude >= 1024n * NANO && amount % NANO === 0n) return printBinary(amount / NANO);
  return printDecimal(amount, EXPONENT.test(unit));
}

/** Returns a quantity in thousandths, rounded up; throws `DecodeError` with Go's message. */
export function toMillis(text: string): bigint {
  const { amount } = readQuantity(text);
  return amount < 0n ? -ceilDivide(-amount, NANO / 1_000n) : ceilDivide(amount, NANO / 1_000n);
}

interface Quantity {
  readonly whole: string;
  readonly fraction: string;
  readonly unit: string;
  /** The amount in billionths, with its sign. */
  readonly amount: bigint;
}

function readQuantity(text: string): Quantity {
  const trimmed = text.trim();
  const match = FORM.exec(trimmed);
  const [, sign = "", whole = "", fraction = "", unit = ""] = match ?? [];
  const digits = `${whole}${fraction}`;
  if (trimmed === "" || match === null || digits.length > MAX_DIGITS) {
    throw new DecodeError(describeFault(trimmed.slice(0, MAX_DIGITS)));
  }
  // Go reads a sign or a unit without digits as 0, except for units beyond its int64.
  if (digits === "" && (unit.endsWith("i") ? /^[PE]i$/.test(unit) : getPowerOfTen(unit) < -9)) {
    throw new DecodeError("unable to parse numeric part of quantity");
  }
  const scaled = scale(BigInt(digits), fraction.length, unit);
  const magnitude = unit.endsWith("i") && scaled > MAX_AMOUNT ? MAX_AMOUNT : scaled;
  return { whole, fraction, unit, amount: sign === "-" ? -magnitude : magnitude };
}

/**
 * Reports whether Go keeps the text unchanged, as it does for a short number that has no larger fitting unit, such as `+5`,
 * `1E3` and `+1Gi`.
 */
function isKept(whole: string, fraction: string, unit: string): boolean {
  const shifted = `${whole.replace(/^0+/, "") || "0"}${fraction}`;
  const binary = BINARY_UNITS.indexOf(unit);
  if (binary > 0) return fraction === "" && shifted.length + 3 * binary <= 14 && (BigInt(shifted) & 7n) !== 0n;
  const power = getPowerOfTen(unit) - fraction.length;
  return shifted.length <= MAX_INT64_DIGITS && power >= -9 && power % 3 === 0 && !/^0|000$/.test(shifted);
}

/** Returns digits × 10^-places × unit in billionths, rounded away from zero. */
function scale(digits: bigint, places: number, unit: string): bigint {
  const binary = BINARY_UNITS.indexOf(unit);
  if (binary > 0) return ceilDivide(digits * 1024n ** BigInt(binary) * NANO, 10n ** BigInt(places));
  const exponent = getPowerOfTen(unit) + 9 - places;
  return exponent >= 0 ? digits * 10n ** BigInt(exponent) : ceilDivide(digits, 10n ** BigInt(-exponent));
}

function ceilDivide(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}

function getPowerOfTen(unit: string): number {
  if (!EXPONENT.test(unit)) return (DECIMAL_UNITS.indexOf(unit) - 3) * 3;
  return Math.max(-MAX_EXPONENT, Math.min(MAX_EXPONENT, Number(unit.slice(1))));
}

function printDecimal(amount: bigint, exponentForm: boolean): string {
  let value = amount;
  let unit = 0;
  while ((exponentForm || unit < DECIMAL_UNITS.length - 1) && value % 1000n === 0n) {
    value /= 1000n;
    unit++;
  }
  if (!exponentForm) return `${value}${DECIMAL_UNITS[unit]}`;
  const exponent = (unit - 3) * 3;
  return exponent === 0 ? `${value}` : `${value}e${exponent}`;
}

function printBinary(amount: bigint): string {
  let value = amount;
  let unit = 0;
  while (unit < BINARY_UNITS.length - 1 && value % 1024n === 0n) {
    value /= 1024n;
    unit++;
  }
  return `${value}${BINARY_UNITS[unit]}`;
}

function describeFault(text: string): string {
  if (/^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eEinumkKMGTP]+[-+]?[0-9]*$/.test(text)) {
    return "unable to parse quantity's suffix";
  }
  return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
}

/** An instant: whole seconds since 1970 and nanoseconds after it. */
export interface Instant {
  readonly seconds: number;
  readonly nanos: number;
}

/** The start of year 1, Go's zero time, which the API prints as `null`. */
export const ZERO_SECONDS = -62_135_596_800;
/** The last second of year 9999, the last one that RFC 3339 can express. */
const MAX_SECONDS = 253_402_300_799;

const CANONICAL_TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/;

/** Converts a `metav1.Time` to canonical text, or `null` for the zero time. Throws `DecodeError` with Go's message. */
export function canonicalTime(text: string): string | null {
  const match = CANONICAL_TIME.exec(text);
  if (match !== null && isPlainDate(match)) return text === "0001-01-01T00:00:00Z" ? null : text;
  return printTime(parseInstant(text, "2006-01-02T15:04:05Z07:00"));
}

/** Converts a `metav1.MicroTime` to canonical text, or `null` for the zero time. Throws `DecodeError` with Go's message. */
export function canonicalMicroTime(text: string): string | null {
  return printMicroTime(parseInstant(text, "2006-01-02T15:04:05.000000Z07:00"));
}

/** Prints RFC 3339 with seconds; `null` for the zero time. */
export function printTime(instant: Instant): string | null {
  if (instant.seconds === ZERO_SECONDS && instant.nanos === 0) return null;
  return `${printSeconds(instant.seconds)}Z`;
}

/** Prints RFC 3339 with microseconds; `null` for the zero time. */
export function printMicroTime(instant: Instant): string | null {
  if (instant.seconds === ZERO_SECONDS && instant.nanos === 0) return null;
  return `${printSeconds(instant.seconds)}.${String(Math.trunc(instant.nanos / 1000)).padStart(6, "0")}Z`;
}

/** Parses canonical text, with up to nine digits of fraction. */
export function parseCanonicalInstant(text: string): Instant {
  const fraction = text.length > 20 ? text.slice(20, -1) : "";
  const date = text.slice(0, 10);
  if (date !== lastDay.date) lastDay = { date, start: Date.parse(date) / 1000 };
  const [hour, minute, second] = [text.slice(11, 13), text.slice(14, 16), text.slice(17, 19)];
  const seconds = lastDay.start + Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  return { seconds: Number.isNaN(seconds) ? ZERO_SECONDS : seconds, nanos: Number(fraction.padEnd(9, "0")) };
}

function printSeconds(seconds: number): string {
  if (!(seconds >= ZERO_SECONDS - 366 * 86_400 && seconds <= MAX_SECONDS)) {
    throw new DecodeError(`time out of range: ${seconds} seconds since 1970`);
  }
  const start = Math.floor(seconds / 86_400) * 86_400;
  if (start !== lastDay.start) lastDay = { date: new Date(start * 1000).toISOString().slice(0, 10), start };
  const second = seconds - start;
  const [hour, minute] = [second / 3600, second / 60 % 60];
  return `${lastDay.date}T${twoDigits(hour)}:${twoDigits(minute)}:${twoDigits(second % 60)}`;
}

/** The day that was converted last, because most times of objects are on the same day and a Date is slow. */
let lastDay = { date: "", start: Number.NaN };

function twoDigits(value: number): string {
  const whole = Math.trunc(value);
  return whole < 10 ? `0${whole}` : String(whole);
}

function isPlainDate(match: RegExpExecArray): boolean {
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number);
  return isDay(year ?? 0, month ?? 0, day ?? 0) && (hour ?? 0) < 24 && (minute ?? 0) < 60 && (second ?? 0) < 60;
}

function isDay(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const last = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return day <= last;
}

/** Parses text by a layout, element by element as Go does, so that the first fault is the one that Go reports. */
function parseInstant(text: string, layout: string): Instant {
  let rest = text;
  const fail = (element: string, at = rest): DecodeError =>
    new DecodeError(`parsing time ${quote(text)} as ${quote(layout)}: cannot parse ${quote(at)} as ${quote(element)}`);
  const failRange = (what: string): DecodeError => new DecodeError(`parsing time ${quote(text)}: ${what} out of range`);
  const literal = (char: string): void => {
    if (!rest.startsWith(char)) throw fail(char);
    rest = rest.slice(1);
  };
  const number = (element: string, pattern: RegExp, range?: readonly [number, number, string]): number => {
    const digits = pattern.exec(rest)?.[0];
    if (digits === undefined) throw fail(element);
    rest = rest.slice(digits.length);
    const value = Number(digits);
    if (range !== undefined && (value < range[0] || value > range[1])) throw failRange(range[2]);
    return value;
  };
  const year = number("2006", /^\d{4}/);
  literal("-");
  const month = number("01", /^\d\d/, [1, 12, "month"]);
  literal("-");
  const day = number("02", /^\d\d/);
  literal("T");
  const hour = number("15", /^\d\d?/, [0, 23, "hour"]);
  literal(":");
  const minute = number("04", /^\d\d/, [0, 59, "minute"]);
  literal(":");
  const second = number("05", /^\d\d/, [0, 59, "second"]);
  let nanos = 0;
  const micro = layout.includes(".000000");
  const fraction = (micro ? /^[.,](\d{6})/ : /^[.,](\d+)/).exec(rest);
  if (fraction !== null) {
    nanos = Number((fraction[1] ?? "").slice(0, 9).padEnd(9, "0"));
    rest = rest.slice(fraction[0].length);
  } else if (micro) throw fail(".000000");
  const offset = parseOffset(rest, () => fail("Z07:00"), failRange);
  rest = rest.slice(offset.length);
  if (rest !== "") throw new DecodeError(`parsing time ${quote(text)}: extra text: ${quote(rest)}`);
  if (!isDay(year, month, day)) throw failRange("day");
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return { seconds: date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset.seconds, nanos };
}

function parseOffset(
  rest: string,
  fail: () => DecodeError,
  failRange: (what: string) => DecodeError,
): { readonly length: number; readonly seconds: number } {
  if (rest.startsWith("Z")) return { length: 1, seconds: 0 };
  const match = /^([+-])(\d\d):(\d\d)/.exec(rest);
  if (match === null) throw fail();
  const hours = Number(match[2]);
  const minutes = Number(match[3]);
  if (hours > 24) throw failRange("time zone offset hour");
  if (minutes > 60) throw failRange("time zone offset minute");
  return { length: 6, seconds: (match[1] === "-" ? -60 : 60) * (hours * 60 + minutes) };
}

/** Quotes text as Go's time package does: everything beyond printable ASCII is escaped as bytes. */
function quote(text: string): string {
  let out = "";
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    if (char === '"' || char === "\\") out += `\\${char}`;
    else if (byte < 0x20 || byte >= 0x80) out += `\\x${byte.toString(16).padStart(2, "0")}`;
    else out += char;
  }
  return `"${out}"`;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * Converts base64 text to canonical form, which has no line breaks and no stray bits before the padding; throws
 * `DecodeError` `illegal base64 data at input byte N`.
 */
export function canonicalBase64(text: string): string {
  const canonical = Buffer.from(text, "base64").toString("base64");
  if (canonical === text) return text;
  const fault = findFault(text);
  if (fault !== undefined) throw new DecodeError(`illegal base64 data at input byte ${fault}`);
  return canonical;
}

/** Decodes base64 text that is known to be in canonical form. */
export function decodeCanonicalBase64(text: string): Uint8Array {
  return Buffer.from(text, "base64");
}

/** Decodes text in Go's `RawURLEncoding`; throws `DecodeError` as `canonicalBase64` does. */
export function decodeRawUrlBase64(text: string): Uint8Array {
  const wrong = /[^A-Za-z0-9_\-\r\n]/.exec(text);
  const plain = (wrong === null ? text : text.slice(0, wrong.index)).replace(/[\r\n]/g, "");
  const fault = wrong === null
    ? (plain.length % 4 === 1 ? text.length - 1 : undefined)
    : byteLength(text.slice(0, wrong.index));
  if (fault !== undefined) throw new DecodeError(`illegal base64 data at input byte ${fault}`);
  return Buffer.from(plain, "base64url");
}

/** Finds the offset that Go reports: of the first wrong byte, or of an incomplete quantum. Line breaks are skipped. */
function findFault(text: string): number | undefined {
  let inQuantum = 0;
  let at = 0;
  while (at < text.length) {
    const char = text[at] ?? "";
    if (char === "\n" || char === "\r") {
      at++;
      continue;
    }
    if (char === "=") return findPaddingFault(text, at, inQuantum);
    if (!ALPHABET.includes(char)) return byteLength(text.slice(0, at));
    inQuantum = (inQuantum + 1) % 4;
    at++;
  }
  return inQuantum === 0 ? undefined : at - inQuantum;
}

function findPaddingFault(text: string, first: number, inQuantum: number): number | undefined {
  if (inQuantum < 2) return first;
  let at = skipBreaks(text, first + 1);
  if (inQuantum === 2) {
    if (at === text.length) return text.length;
    if (text[at] !== "=") return at - 1;
    at = skipBreaks(text, at + 1);
  }
  return at < text.length ? at : undefined;
}

function skipBreaks(text: string, from: number): number {
  let at = from;
  while (text[at] === "\n" || text[at] === "\r") at++;
  return at;
}
