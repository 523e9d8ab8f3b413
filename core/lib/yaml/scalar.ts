/**
 * Resolves YAML text without quotes: as the library of Kubernetes does (go-yaml v2 `resolve.go`), which knows YAML 1.1
 * words and Go's number forms and leaves timestamps as text, or by the core schema of YAML 1.2. The printer uses it too,
 * because it must quote text that would be misread.
 */
import { MAX_INT64 } from "../go_text.ts";

/** The version of YAML: 1.1 as Kubernetes reads it, or the core schema of 1.2. */
export type YamlVersion = "1.1" | "1.2";

/** An integer or a float; `literal` is how JSON writes it. */
export class GoNumber {
  readonly kind: "int" | "uint64" | "float64";
  readonly value: number;
  readonly literal: string;

  constructor(kind: "int" | "uint64" | "float64", value: number, literal = String(value)) {
    this.kind = kind;
    this.value = value;
    this.literal = literal;
  }
}

export type GoScalar = string | boolean | null | GoNumber;

const CORE_WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ...words(["true", "True", "TRUE"], true),
  ...words(["false", "False", "FALSE"], false),
  ...words(["", "~", "null", "Null", "NULL"], null),
]);
const GO_WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ...CORE_WORDS,
  ...words(["y", "Y", "yes", "Yes", "YES", "on", "On", "ON"], true),
  ...words(["n", "N", "no", "No", "NO", "off", "Off", "OFF"], false),
]);

const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const INFINITY = /^[-+]?\.(?:inf|Inf|INF)$/;
const NAN = /^\.(?:nan|NaN|NAN)$/;
const CORE_INTEGER = /^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$/;
const GO_INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))$/;
const GO_SIGNED_BINARY = /^0b([-+])([01]+)$/;
const MAX_UINT64 = 2n ** 64n - 1n;
/** The length of the largest integer in base 2 with its prefix. Go accepts more leading zeros, which no one writes. */
const MAX_INTEGER_LENGTH = 3 + 64;

/** Resolves text without quotes. Text with no other meaning is returned unchanged. */
export function resolvePlain(text: string, version: YamlVersion = "1.1"): GoScalar {
  const word = (version === "1.1" ? GO_WORDS : CORE_WORDS).get(text);
  if (word !== undefined) return word;
  if (!/^[-+.0-9]/.test(text)) return text;
  if (INFINITY.test(text)) return new GoNumber("float64", text.startsWith("-") ? -Infinity : Infinity);
  if (NAN.test(text)) return new GoNumber("float64", Number.NaN);
  if (version === "1.1") return resolveGoNumber(text);
  if (CORE_INTEGER.test(text)) return new GoNumber("int", Number(text));
  return FLOAT.test(text) ? createFloat(Number(text)) : text;
}

function resolveGoNumber(text: string): GoScalar {
  // Go ignores underscores; in text that starts with a point, only those between digits.
  const plain = text.startsWith(".") ? text.replace(/(?<=[0-9])_(?=[0-9])/g, "") : text.replaceAll("_", "");
  const integer = parseInteger(plain);
  if (integer !== undefined) {
    return new GoNumber(integer > MAX_INT64 ? "uint64" : "int", Number(integer), String(integer));
  }
  const value = FLOAT.test(plain) ? Number(plain) : Number.NaN;
  return Number.isFinite(value) ? createFloat(value) : text;
}

/** Creates a float. Go prints it again when it converts YAML to JSON, so that 1.0 becomes 1. */
function createFloat(value: number): GoNumber {
  return new GoNumber("float64", value, Object.is(value, -0) ? "-0" : String(value));
}

function parseInteger(text: string): bigint | undefined {
  // BigInt parses in more than linear time.
  if (text.length > MAX_INTEGER_LENGTH) return undefined;
  const [, binarySign, digits] = GO_SIGNED_BINARY.exec(text) ?? [];
  const [, sign = binarySign, hex, binary = digits, octal, decimal] = GO_INTEGER.exec(text) ?? [];
  const prefixed = hex !== undefined
    ? `0x${hex}`
    : binary !== undefined
    ? `0b${binary}`
    : octal !== undefined
    ? `0o${octal}`
    : decimal;
  if (prefixed === undefined) return undefined;
  const magnitude = BigInt(prefixed);
  const most = sign === "-" && binarySign === undefined ? MAX_INT64 + 1n : sign === "" ? MAX_UINT64 : MAX_INT64;
  if (magnitude > most) return undefined;
  return sign === "-" ? -magnitude : magnitude;
}

function words<T>(texts: readonly string[], value: T): [string, T][] {
  return texts.map((text) => [text, value]);
}
