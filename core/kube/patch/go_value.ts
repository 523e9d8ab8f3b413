/** Prints JSON values as Go does, for the error messages of patches and of apply. */
import { goQuote } from "../../lib/quote.ts";
import { toInt64 } from "../int64.ts";
import { ExactNumber, formatJsonNumber, isJsonObject, type JsonObject } from "../json_value.ts";

/** Prints a value as `fmt.Sprintf("%v")` does: `map[a:1 b:[x y]]`, keys sorted. */
export function printGoValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(printGoValue).join(" ")}]`;
  if (isJsonObject(value)) return printMap(value);
  if (value === null || value === undefined) return "<nil>";
  return typeof value === "number" || value instanceof ExactNumber ? printNumber(value) : String(value);
}

/** Prints a number. In Go, a number that is no integer of 64 bits is a float, printed with an exponent. */
function printNumber(value: number | ExactNumber): string {
  const whole = findInteger(value);
  return whole === undefined ? printFloat(Number(formatJsonNumber(value))) : whole.toString();
}

/** Prints a float in its shortest form (`strconv.FormatFloat(v, 'g', -1, 64)`). */
function printFloat(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  const [digits, exponentText] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  if (value === 0 || (exponent >= -4 && exponent < SHORT_DIGITS)) return String(value);
  return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** The number of digits before the point from which `g` writes an exponent. */
const SHORT_DIGITS = 6;

/** Returns the int64 to which Go decodes a number; undefined if it decodes it to a float64. */
function findInteger(value: number | ExactNumber): bigint | undefined {
  if (value instanceof ExactNumber) return toInt64(value.literal);
  return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? BigInt(value) : undefined;
}

/** Returns the Go type of a decoded JSON value, as `%s` prints it. */
export function getGoType(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (isJsonObject(value)) return "map[string]interface {}";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value !== "number" && !(value instanceof ExactNumber)) return "%!s(<nil>)";
  return findInteger(value) === undefined ? "float64" : "int64";
}

function printMap(value: JsonObject): string {
  const keys = Object.keys(value).sort();
  return `map[${keys.map((key) => `${key}:${printGoValue(value[key])}`).join(" ")}]`;
}

/** Prints a value as `fmt.Sprintf("%#v")` does: Go's own syntax. */
export function goSyntax(value: unknown): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  if (isJsonObject(value)) {
    const keys = Object.keys(value).sort();
    return `map[string]interface {}{${keys.map((key) => `${goQuote(key)}:${goSyntax(value[key])}`).join(", ")}}`;
  }
  if (value === null || value === undefined) return "interface {}(nil)";
  return typeof value === "string" ? goQuote(value) : printGoValue(value);
}
