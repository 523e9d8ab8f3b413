/**
 * Amounts with a unit, such as `250m` or `1Gi`, in the canonical form of the API (apimachinery
 * `pkg/api/resource/quantity.go`).
 */
import { DecodeError } from "./errors.ts";

const FORM = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)$/;
const DECIMAL_UNITS: readonly string[] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY_UNITS: readonly string[] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/** The number of billionths in one. Amounts are whole billionths; finer ones are rounded up. */
const NANO = 1_000_000_000n;
const EXPONENT = /^[eE][+-]?[0-9]/;
/** The number of decimal digits that always fit an int64. */
const MAX_INT64_DIGITS = 18;
/** The greatest amount with a binary unit; greater ones are reduced to it. */
const MAX = (2n ** 63n - 1n) * NANO;
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
  // Go takes a sign or a unit without digits for 0, except units that its int64 does not hold.
  if (digits === "" && (unit.endsWith("i") ? /^[PE]i$/.test(unit) : getPowerOfTen(unit) < -9)) {
    throw new DecodeError("unable to parse numeric part of quantity");
  }
  const scaled = scale(BigInt(digits), fraction.length, unit);
  const magnitude = unit.endsWith("i") && scaled > MAX ? MAX : scaled;
  return { whole, fraction, unit, amount: sign === "-" ? -magnitude : magnitude };
}

/**
 * Reports whether Go keeps the text unchanged: that of a short number that has no larger fitting unit, including `+5`, `1E3`
 * and `+1Gi`.
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
