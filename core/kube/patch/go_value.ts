/** JSON values as Go's `%v` prints them: parts of error texts of strategic merge patches. */
import { goFloat } from "../codec/_yaml_go_value.ts";
import { goQuote } from "../codec/go_quote.ts";
import { isJsonObject, type JsonObject } from "../json_value.ts";

/** Prints a value as `fmt.Sprintf("%v")` does: `map[a:1 b:[x y]]`, keys sorted. */
export function printGoValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(printGoValue).join(" ")}]`;
  if (isJsonObject(value)) return printMap(value);
  if (value === null || value === undefined) return "<nil>";
  return typeof value === "number" ? printNumber(value) : String(value);
}

/** Numbers beyond 64 bits are floats in Go, which are printed with an exponent. */
function printNumber(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? BigInt(value).toString() : goFloat(value, 64);
}

/** The Go type of a decoded JSON value, as `%s` prints it. */
export function goTypeOf(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (isJsonObject(value)) return "map[string]interface {}";
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "number":
      return Number.isInteger(value) ? "int64" : "float64";
    default:
      return "%!s(<nil>)";
  }
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
  return typeof value === "string" ? goQuote(value) : typeof value === "number" ? printNumber(value) : String(value);
}
