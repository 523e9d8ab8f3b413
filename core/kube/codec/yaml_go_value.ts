/** Values as go-yaml holds them: keys of any scalar type, integers beside floats. What JSON has no word for shows here. */
import { goQuote } from "../quote.ts";

/** An integer or a float; `literal` is how JSON writes it. */
export interface GoNumber {
  readonly kind: "int" | "uint64" | "float64";
  readonly value: number;
  readonly literal: string;
}

/** What a scalar can be. */
export type GoScalar = string | boolean | null | GoNumber;

/** Any value. */
export type GoValue = GoScalar | GoMap | readonly GoValue[];

/** `map[interface {}]interface {}`: `1` and `"1"` are two keys. Given in the order of first setting. */
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
  // NaN is no key twice in Go; once is enough to be refused.
  return `${key.kind} ${key.literal}`;
}

/** Tells a number from the other values. */
export function isGoNumber(value: GoValue): value is GoNumber {
  return typeof value === "object" && value !== null && "literal" in value;
}

/** The key in JSON, or undefined where there is none (sigs.k8s.io/yaml `convertToJSONableObject`). */
export function findJsonKey(key: GoScalar): string | undefined {
  if (typeof key === "string") return key;
  if (typeof key === "boolean") return String(key);
  if (key === null || key.kind === "uint64") return undefined;
  if (key.kind === "int") return key.literal;
  const text = goFloat(key.value, 32);
  return SPECIAL_KEYS.get(text) ?? text;
}

const SPECIAL_KEYS: ReadonlyMap<string, string> = new Map([["NaN", ".nan"], ["+Inf", ".inf"], ["-Inf", "-.inf"]]);

/** The name of a value's type, as `%s` prints it. */
export function goTypeName(value: GoValue): string {
  if (value === null) return "%!s(<nil>)";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (isGoNumber(value)) return value.kind;
  return value instanceof GoMap ? "map[interface {}]interface {}" : "[]interface {}";
}

/** The value in Go's own syntax (`%#v`), cut where it grows long: nobody reads on. */
export function printGoSyntax(value: GoValue): string {
  return value === null ? "<nil>" : inner(value, MAX_SYNTAX_DEPTH);
}

/** Deeper values are not printed: the text is an error for a person. */
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

/** A float in its shortest form (`strconv.FormatFloat(v, 'g', -1, bits)`). */
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

/** From this many digits before the point on, `g` writes an exponent. */
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
