/**
 * Resolves plain YAML scalars as the library of Kubernetes does (go-yaml v2 `resolve.go`): YAML 1.1 words and Go's number
 * forms; timestamps stay text. Both parsing and printing use it, as printing must quote text that would be misread.
 */
import { decodeUtf8 } from "../../lib/utf8.ts";
import type { GoNumber, GoScalar } from "./yaml_go_value.ts";
import { canonicalBase64, decodeCanonicalBase64 } from "./base64.ts";
import { DecodeError, JsonSyntaxError } from "./errors.ts";

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

/** Resolves a scalar with a tag to a Go value. Throws JsonSyntaxError if the text does not fit the tag. */
export function resolveTagged(tag: string, text: string): GoScalar {
  if (tag === `${STANDARD_TAG}binary`) return decodeBinary(text);
  const name = tag.startsWith(STANDARD_TAG) ? tag.slice(STANDARD_TAG.length) : undefined;
  if (tag !== "" && (name === undefined || !RESOLVED_TAGS.has(name))) return text;
  if (name === "str") return text;
  const resolved = resolvePlain(text);
  const found = getTagName(resolved);
  if (name === undefined || name === found) return toScalar(resolved, text);
  if (name === "float" && resolved.kind === "int") return createFloat(resolved.value);
  throw new JsonSyntaxError(`yaml: cannot decode !!${found} \`${text}\` as a !!${name}`);
}

const STANDARD_TAG = "tag:yaml.org,2002:";
/** The tags whose text is resolved; scalars with any other tag are text. */
const RESOLVED_TAGS: ReadonlySet<string> = new Set(["str", "bool", "int", "float", "null", "timestamp"]);
const STRING: Resolved = { kind: "string" };

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

function decodeBinary(text: string): string {
  try {
    return decodeUtf8(decodeCanonicalBase64(canonicalBase64(text))).toWellFormed();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new JsonSyntaxError("yaml: !!binary value contains invalid base64 data", error);
  }
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
  // BigInt takes more than linear time.
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
