/**
 * Parses times as Go does (`time.Parse`), with its messages, and prints them as the API does: in UTC with seconds
 * (`metav1.Time`) or microseconds (`metav1.MicroTime`).
 */
import { DecodeError } from "./errors.ts";

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

/** Converts a `metav1.MicroTime` to canonical text, or `null` for the zero time. Throws `DecodeError` like Go. */
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

/** The day of the time that was converted last, since most times of objects are of one day and a Date takes long. */
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
