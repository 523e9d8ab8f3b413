/** Values as go-yaml decodes them: keys have any scalar type, and integers differ from floats, unlike in JSON. */
import type { GoNumber, GoScalar } from "../../lib/yaml/scalar.ts";
import { goQuote } from "../../lib/quote.ts";

/** Any value that go-yaml decodes into. */
export type GoValue = GoScalar | GoMap | readonly GoValue[];

/** A `map[interface {}]interface {}`, in which `1` and `"1"` are two keys, in the order in which they were first set. */
export class GoMap {
  readonly #entries = new Map<string, { readonly key: GoScalar; readonly value: GoValue }>();

  has(key: GoScalar): boolean {
    return this.#entries.has(toKeyId(key));
  }

  set(key: GoScalar, value: GoValue): void {
    this.#entries.set(toKeyId(key), { key, value });
  }

  entries(): Iterable<{ readonly key: GoScalar; readonly value: GoValue }> {
    return this.#entries.values();
  }
}

function toKeyId(key: GoScalar): string {
  if (typeof key === "string") return `s${key}`;
  if (key === null || typeof key === "boolean") return String(key);
  // In Go, each NaN is another key. One is enough to be refused.
  return `${key.kind} ${key.literal}`;
}

/** Reports whether a value is a number. */
export function isGoNumber(value: GoValue): value is GoNumber {
  return typeof value === "object" && value !== null && "literal" in value;
}

/** Finds the JSON name of a key; undefined if it has none (sigs.k8s.io/yaml `convertToJSONableObject`). */
export function findJsonKey(key: GoScalar): string | undefined {
  if (typeof key === "string") return key;
  if (typeof key === "boolean") return String(key);
  if (key === null || key.kind === "uint64") return undefined;
  if (key.kind === "int") return key.literal;
  const text = goFloat(key.value, 32);
  return SPECIAL_KEYS.get(text) ?? text;
}

const SPECIAL_KEYS: ReadonlyMap<string, string> = new Map([["NaN", ".nan"], ["+Inf", ".inf"], ["-Inf", "-.inf"]]);

/** Returns the name of a value's type, as `%s` prints it. */
export function goTypeName(value: GoValue): string {
  if (value === null) return "%!s(<nil>)";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (isGoNumber(value)) return value.kind;
  return value instanceof GoMap ? "map[interface {}]interface {}" : "[]interface {}";
}

/** Prints a value in Go's syntax (`%#v`), truncated at a great depth. */
export function printGoSyntax(value: GoValue): string {
  return value === null ? "<nil>" : inner(value, MAX_SYNTAX_DEPTH);
}

/** The depth below which values are not printed in error messages. */
const MAX_SYNTAX_DEPTH = 100;

function inner(value: GoValue, depth: number): string {
  if (value === null) return "interface {}(nil)";
  if (typeof value === "string") return goQuote(value);
  if (typeof value === "boolean") return String(value);
  if (isGoNumber(value)) {
    if (value.kind === "uint64") return `0x${BigInt(value.literal).toString(16)}`;
    return value.kind === "int" ? value.literal : goFloat(value.value, 64);
  }
  if (depth === 0) return "…";
  if (!(value instanceof GoMap)) return `[]interface {}{${value.map((item) => inner(item, depth - 1)).join(", ")}}`;
  const entries = Array.from(value.entries(), (entry) => `${inner(entry.key, 0)}:${inner(entry.value, depth - 1)}`);
  const nilFirst = (entry: string): number => (entry.startsWith("interface {}(nil):") ? 0 : 1);
  entries.sort((a, b) => nilFirst(a) - nilFirst(b) || (a < b ? -1 : 1));
  return `map[interface {}]interface {}{${entries.join(", ")}}`;
}

/** Prints a float in its shortest form (`strconv.FormatFloat(v, 'g', -1, bits)`). */
export function goFloat(value: number, bits: 32 | 64): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  if (bits === 32 && !Number.isFinite(Math.fround(value))) return value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  const [digits = "0", exponentText = "0"] = shortest(value, bits).split("e");
  const exponent = Number(exponentText);
  if (value !== 0 && (exponent < -4 || exponent >= SHORT_DIGITS)) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${digits}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  return String(Number(`${digits}e${exponent}`));
}

/** The number of digits before the point from which `g` writes an exponent. */
const SHORT_DIGITS = 6;

function shortest(value: number, bits: 32 | 64): string {
  if (bits === 64) return value.toExponential();
  const single = Math.fround(value);
  for (let digits = 0; digits < 9; digits++) {
    const text = single.toExponential(digits);
    if (Math.fround(Number(text)) === single) return text;
  }
  return single.toExponential();
}
