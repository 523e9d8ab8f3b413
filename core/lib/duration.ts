/** Durations as Go writes them (`time.ParseDuration`), such as `10m`, `24h` and `1h30m0.5s`, and as `kubectl get` prints them. */
import { goQuote } from "./go_text.ts";
import { lookup } from "./record.ts";
import { err, ok, type Result } from "./result.ts";

const UNIT_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  "µs": 1_000n,
  "μs": 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** The error of `parseSettingDuration`, which says what is expected. */
export const WANT_DURATION = "want a duration such as 10m, 24h, 90d or 10y";

/** A day in milliseconds. A year has 365 days in settings. */
export const DAY_MS = 86_400_000;

/** The limit of Go's int64 of nanoseconds, about 292 years. Only a negative duration may be this long. */
const LIMIT_NS = 1n << 63n;
const MAX_MS = Number(LIMIT_NS) / 1e6;

/** Parses a duration as Go does. The value is in milliseconds, the error is Go's own text. */
export function parseDuration(text: string): Result<number, string> {
  const fault = err(`time: invalid duration ${goQuote(text)}`);
  const isNegative = text.startsWith("-");
  let rest = text.replace(/^[+-]/, "");
  if (rest === "0") return ok(0);
  if (rest === "") return fault;
  let total = 0n;
  while (rest !== "") {
    const [number = "", whole = "", fraction = ""] = /^(\d*)(?:\.(\d*))?/.exec(rest) ?? [];
    const digits = whole.replace(/^0+/, "");
    if (whole === "" && fraction === "" || digits.length > 19 || BigInt(digits) > LIMIT_NS) return fault;
    rest = rest.slice(number.length);
    const unit = /^[^.\d]+/.exec(rest)?.[0];
    if (unit === undefined) return err(`time: missing unit in duration ${goQuote(text)}`);
    const factor = lookup(UNIT_NS, unit);
    if (factor === undefined) return err(`time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`);
    rest = rest.slice(unit.length);
    total += BigInt(digits) * factor + toNanoseconds(fraction, factor);
    if (total > LIMIT_NS) return fault;
  }
  if (total === LIMIT_NS && !isNegative) return fault;
  return ok(Number(isNegative ? -total : total) / 1e6);
}

/** Converts the digits after the decimal point. Go ignores those that an int64 cannot hold, and calculates with floats. */
function toNanoseconds(fraction: string, factor: bigint): bigint {
  let value = 0n;
  let scale = 1;
  for (const digit of fraction) {
    const next = value * 10n + BigInt(digit);
    if (next > LIMIT_NS) break;
    value = next;
    scale *= 10;
  }
  return BigInt(Math.floor(Number(value) * (Number(factor) / scale)));
}

/**
 * Parses a duration of tlsboot's own flags and files, which is never negative: Go's form, optionally after whole years and
 * days, such as `90d`, `10y` or `1d12h`. A day has 24 hours and a year 365 days. The value is in milliseconds.
 */
export function parseSettingDuration(text: string): Result<number, string> {
  const [whole = "", years = "0", days = "0"] = /^(?:(\d{1,6})y)?(?:(\d{1,6})d)?/.exec(text) ?? [];
  const rest = text.slice(whole.length);
  const duration = whole !== "" && rest === "" ? ok(0) : parseDuration(rest);
  // Go's form may begin with a sign, but not after years or days.
  const isSigned = whole !== "" && /^[+-]/.test(rest);
  const total = (Number(years) * 365 + Number(days)) * DAY_MS + (duration.ok ? duration.value : 0);
  const isValid = duration.ok && !isSigned && total >= 0 && total <= MAX_MS;
  return isValid ? ok(total) : err(WANT_DURATION);
}

/** Prints milliseconds as Go's `Duration.String` does: `24h0m0s`, `1m30s`, `1.5s`, `20ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms === 0) return "0s";
  if (ms < 1_000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = Math.round(ms % 60_000) / 1_000;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}

/** Prints milliseconds as a person types them: `10y` or `90d` for whole years or days, else as `formatDuration` does. */
export function formatSettingDuration(ms: number): string {
  const days = ms / DAY_MS;
  if (days < 1 || !Number.isInteger(days)) return formatDuration(ms);
  return days % 365 === 0 ? `${days / 365}y` : `${days}d`;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A year without leap days, as upstream counts. */
const YEAR = 365 * DAY;

/**
 * Prints a duration for people, as in the AGE column (apimachinery `pkg/util/duration/duration.go`).
 *
 * @param ms milliseconds; clocks differ, so up to two seconds into the future print as `0s`
 */
export function formatHumanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  if (seconds < 10 * MINUTE) return twoUnits(seconds, MINUTE, "m", 1, "s");
  if (seconds < 3 * HOUR) return `${Math.floor(seconds / MINUTE)}m`;
  if (seconds < 8 * HOUR) return twoUnits(seconds, HOUR, "h", MINUTE, "m");
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)}h`;
  if (seconds < 8 * DAY) return twoUnits(seconds, DAY, "d", HOUR, "h");
  if (seconds < 2 * YEAR) return `${Math.floor(seconds / DAY)}d`;
  if (seconds < 8 * YEAR) return twoUnits(seconds, YEAR, "y", DAY, "d");
  return `${Math.floor(seconds / YEAR)}y`;
}

function twoUnits(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)}${largeName}${rest === 0 ? "" : `${rest}${smallName}`}`;
}
