/**
 * Resolves YAML scalars: as the library of Kubernetes does (go-yaml v2 `resolve.go`), which knows YAML 1.1 words and Go's
 * number forms and leaves timestamps as text, or by the core schema of YAML 1.2. Both parsing and printing use it, as
 * printing must quote text that would be misread.
 */
import { type Mark, YamlError } from "./cursor.ts";
import type { YamlVersion } from "./scanner.ts";

/** An integer or a float; `literal` is how JSON writes it. */
export interface GoNumber {
  readonly kind: "int" | "uint64" | "float64";
  readonly value: number;
  readonly literal: string;
}

/** A scalar value of go-yaml. */
export type GoScalar = string | boolean | null | GoNumber;

const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ...words(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], true),
  ...words(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], false),
  ...words(["", "~", "null", "Null", "NULL"], null),
]);

const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))$/;
const SPECIAL_FLOATS: ReadonlyMap<string, number> = new Map([
  [".nan", Number.NaN],
  [".inf", Number.POSITIVE_INFINITY],
  ["+.inf", Number.POSITIVE_INFINITY],
  ["-.inf", Number.NEGATIVE_INFINITY],
]);
const SPECIAL_FLOAT = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const TIMESTAMP = /^\d{4}-\d{1,2}-\d{1,2}(?:[Tt ]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?$/;
const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT64 = 2n ** 64n - 1n;

/** The result of resolving a scalar; text that looks like a time is a `timestamp`. */
export type Resolved =
  | { readonly kind: "string" | "timestamp" }
  | { readonly kind: "value"; readonly value: boolean | null }
  | GoNumber;

/** Resolves text without quotes and without a tag. */
export function resolvePlain(text: string): Resolved {
  const word = WORDS.get(text);
  if (word !== undefined) return { kind: "value", value: word };
  if (!/^[-+.0-9]/.test(text)) return STRING;
  const special = SPECIAL_FLOATS.get(text.toLowerCase());
  if (special !== undefined && SPECIAL_FLOAT.test(text)) return createFloat(special);
  // Go only removes underscores from text that starts with a digit or a sign.
  if (text.startsWith(".")) return parseFloat64(text);
  if (TIMESTAMP.test(text)) return { kind: "timestamp" };
  const plain = text.replaceAll("_", "");
  const integer = parseInteger(plain);
  if (integer === undefined) return parseFloat64(plain);
  const kind = integer > MAX_INT64 ? "uint64" : "int";
  return { kind, value: Number(integer), literal: String(integer) };
}

/** A scalar of a document. The tag is empty where the text determines the type. */
interface TaggedText {
  readonly tag: string;
  readonly text: string;
  readonly mark: Mark;
}

/**
 * Resolves a scalar whose text determines its type, or whose tag does. Throws YamlError if the text does not fit the tag. Text with
 * a tag that names no scalar type stays text.
 */
export function resolveTagged(node: TaggedText, version: YamlVersion): GoScalar {
  const { tag, text, mark } = node;
  const name = tag.startsWith(STANDARD_TAG) ? tag.slice(STANDARD_TAG.length) : undefined;
  if (tag !== "" && (name === undefined || !RESOLVED_TAGS.has(name))) return text;
  if (name === "str") return text;
  const resolved = version === "1.1" ? resolvePlain(text) : resolveCore(text);
  const found = getTagName(resolved);
  if (name === undefined || name === found) return toScalar(resolved, text);
  if (name === "float" && resolved.kind === "int") return createFloat(resolved.value);
  // go-yaml checks for a timestamp only if there is no other tag.
  const problem = `cannot decode !!${found === "timestamp" ? "str" : found}`;
  throw new YamlError(`${problem} as a !!${name}`, { mark }, `${problem} \`${text}\` as a !!${name}`);
}

/** The beginning of the tags that YAML itself defines. */
export const STANDARD_TAG = "tag:yaml.org,2002:";
/** The tags whose text is resolved; scalars with any other tag are text. */
const RESOLVED_TAGS: ReadonlySet<string> = new Set(["str", "bool", "int", "float", "null", "timestamp"]);
const STRING: Resolved = { kind: "string" };

const CORE_WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ...words(["true", "True", "TRUE"], true),
  ...words(["false", "False", "FALSE"], false),
  ...words(["", "~", "null", "Null", "NULL"], null),
]);
const CORE_INTEGER = /^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$/;

/** Resolves text without quotes by the core schema of YAML 1.2 (section 10.3.2 of its specification). */
function resolveCore(text: string): Resolved {
  const word = CORE_WORDS.get(text);
  if (word !== undefined) return { kind: "value", value: word };
  const special = SPECIAL_FLOATS.get(text.toLowerCase());
  if (special !== undefined && SPECIAL_FLOAT.test(text)) return createFloat(special);
  if (CORE_INTEGER.test(text)) {
    const value = Number(text);
    return { kind: "int", value, literal: String(value) };
  }
  return FLOAT.test(text) ? createFloat(Number(text)) : STRING;
}

function getTagName(resolved: Resolved): string {
  switch (resolved.kind) {
    case "string":
      return "str";
    case "value":
      return resolved.value === null ? "null" : "bool";
    case "float64":
      return "float";
    case "int":
    case "uint64":
      return "int";
    case "timestamp":
      return "timestamp";
  }
}

function toScalar(resolved: Resolved, text: string): GoScalar {
  if (resolved.kind === "value") return resolved.value;
  return "literal" in resolved ? resolved : text;
}

/** Creates a float. Go prints it again when it converts YAML to JSON, so that 1.0 becomes 1. */
function createFloat(value: number): GoNumber {
  return { kind: "float64", value, literal: Object.is(value, -0) ? "-0" : String(value) };
}

function parseFloat64(text: string): Resolved {
  const value = FLOAT.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? createFloat(value) : STRING;
}

/** The length of the largest integer in base 2 with its prefix. Go accepts more leading zeros, which no one writes. */
const MAX_INTEGER_LENGTH = 3 + 64;

function parseInteger(text: string): bigint | undefined {
  // BigInt parses in more than linear time.
  if (text.length > MAX_INTEGER_LENGTH) return undefined;
  const match = INTEGER.exec(text);
  if (match === null) return parseSignedBinary(text);
  const [, sign, hex, binary, octal, decimal] = match;
  const digits = hex !== undefined
    ? `0x${hex}`
    : binary !== undefined
    ? `0b${binary}`
    : octal !== undefined
    ? `0o${octal}`
    : decimal;
  const magnitude = BigInt(digits ?? "0");
  if (magnitude > (sign === "-" ? MAX_INT64 + 1n : sign === "+" ? MAX_INT64 : MAX_UINT64)) return undefined;
  return sign === "-" ? -magnitude : magnitude;
}

/** Parses a binary number with a sign after `0b`, which Go accepts too. */
function parseSignedBinary(text: string): bigint | undefined {
  const match = /^0b([-+])([01]+)$/.exec(text);
  if (match === null) return undefined;
  const magnitude = BigInt(`0b${match[2]}`);
  if (magnitude > MAX_INT64) return undefined;
  return match[1] === "-" ? -magnitude : magnitude;
}

function words<T>(texts: readonly string[], value: T): [string, T][] {
  return texts.map((text) => [text, value]);
}
