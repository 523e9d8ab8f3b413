/**
 * JSON values and documents in memory: plain values, the details of their text that plain values cannot express, how Go
 * prints them, and the errors of the codecs.
 */
import { compareBytes, goQuote, sortedKeys, toInt64 } from "../lib/go_text.ts";
import type { JsonMember } from "../lib/record.ts";
import { AppError } from "../errors.ts";

/**
 * A number with its original text. Go works on the text of a JSON or merge patch, so `1.0`, `1e3` and integers beyond 2^53
 * stay unchanged, which a JavaScript number would not preserve.
 */
export class ExactNumber {
  readonly literal: string;

  constructor(literal: string) {
    this.literal = literal;
  }

  /** The nearest JavaScript number, infinite beyond the range of a float. */
  get value(): number {
    return Number(this.literal);
  }

  /** Lets `JSON.stringify` print the original text. */
  toJSON(): unknown {
    return (JSON as unknown as RawJson).rawJSON(this.literal);
  }
}

/** `JSON.rawJSON` (ECMAScript), which TypeScript does not declare yet. */
interface RawJson {
  rawJSON(text: string): unknown;
}

/** A parsed JSON object, which may be changed. */
export type JsonObject = { [key: string]: unknown };

type JsonType = "object" | "array" | "string" | "number" | "boolean" | "null";

/** The greatest depth of a document that recursive functions accept. No Kubernetes object is nearly that deep. */
const MAX_DEPTH = 1_000;

/** Reports whether a value is a JSON object, and not a list or a scalar. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}

/** Reports whether a value has no elements, because it is an empty list or none at all. */
export function isEmptyList(value: unknown): boolean {
  return !Array.isArray(value) || value.length === 0;
}

/** Reports whether a value has no members, because it is an empty object or none at all. */
export function isEmptyMap(value: unknown): boolean {
  if (!isJsonObject(value)) return true;
  for (const _key in value) return false;
  return true;
}

/** Returns the type of a JSON value; anything else counts as null. */
export function getJsonType(value: unknown): JsonType {
  if (Array.isArray(value)) return "array";
  switch (typeof value) {
    case "object":
      return value === null ? "null" : value instanceof ExactNumber ? "number" : "object";
    case "string":
    case "number":
    case "boolean":
      return typeof value as JsonType;
    default:
      return "null";
  }
}

/** Returns the type of a JSON value as Go's errors name it. */
export function goJsonType(value: unknown): string {
  const type = getJsonType(value);
  return type === "boolean" ? "bool" : type;
}

/** Returns a member of an object, or undefined. Members of the prototype do not count. */
export function getMember(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Copies a JSON value deeply, without the members that are undefined. */
export function cloneJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneJson);
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (item !== undefined) setOwn(copy, key, cloneJson(item));
  }
  return copy;
}

/** Compares two JSON values; the order of members does not count, and a member that is undefined counts as absent. */
export function isEqualJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isEqualJson(item, b[index]));
  }
  if (!isJsonObject(a)) return isNumber(a) && isNumber(b) && formatJsonNumber(a) === formatJsonNumber(b);
  if (!isJsonObject(b)) return false;
  const keys = listDefinedKeys(a);
  return keys.length === listDefinedKeys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isEqualJson(a[key], b[key]));
}

function listDefinedKeys(object: JsonObject): string[] {
  return Object.keys(object).filter((key) => object[key] !== undefined);
}

function isNumber(value: unknown): value is number | ExactNumber {
  return getJsonType(value) === "number";
}

/** Returns the original text of a number, or the text that JSON prints. */
export function formatJsonNumber(value: number | ExactNumber): string {
  return value instanceof ExactNumber ? value.literal : String(value);
}

/**
 * Returns the value of a document, with an ExactNumber for each number that JavaScript would print differently.
 *
 * @param isKept selects the literals to keep; other numbers stay plain
 */
export function toExactValue(
  { value, members }: JsonDocument,
  isKept: (literal: string) => boolean = () => true,
): unknown {
  if (members === undefined || isTooDeep(value)) return value;
  const exact = (plain: unknown): unknown => {
    if (typeof plain !== "object" || plain === null) return plain;
    const literals = new Map(members.get(plain)?.map(({ key, literal }) => [key, literal]));
    const exactMember = (key: string, member: unknown): unknown => {
      const literal = typeof member === "number" ? literals.get(key) : undefined;
      return literal === undefined || !isKept(literal) ? exact(member) : new ExactNumber(literal);
    };
    if (Array.isArray(plain)) return plain.map((item, index) => exactMember(String(index), item));
    const copy: JsonObject = {};
    for (const [key, member] of Object.entries(plain)) setOwn(copy, key, exactMember(key, member));
    return copy;
  };
  return exact(value);
}

/** Finds the text of the first number that is beyond the range of a float. */
export function findInfinite(value: unknown): string | undefined {
  if (value instanceof ExactNumber) return Number.isFinite(value.value) ? undefined : value.literal;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : String(value);
  if (typeof value !== "object" || value === null) return undefined;
  for (const member of Object.values(value)) {
    const found = findInfinite(member);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Reports whether a document is nested too deeply for recursive functions; `depth` is the depth of the value. */
export function isTooDeep(value: unknown, depth = 0): boolean {
  if (depth > MAX_DEPTH) return true;
  if (typeof value !== "object" || value === null) return false;
  const members: unknown[] = Array.isArray(value) ? value : Object.values(value);
  return members.some((member) => isTooDeep(member, depth + 1));
}

/** Copies a value without the members that are null; null elements of lists stay. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (item !== null) setOwn(kept, key, withoutNulls(item));
  }
  return kept;
}

/** Prints a value as `fmt.Sprintf("%v")` does: `map[a:1 b:[x y]]`, keys sorted. */
export function printGoValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(printGoValue).join(" ")}]`;
  if (isJsonObject(value)) return printMap(value);
  if (value === null || value === undefined) return "<nil>";
  return typeof value === "number" || value instanceof ExactNumber ? printNumber(value) : String(value);
}

/** Prints a number. In Go, a number that is not a 64-bit integer is a float. */
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
  const keys = sortedKeys(value);
  return `map[${keys.map((key) => `${key}:${printGoValue(value[key])}`).join(" ")}]`;
}

/** Prints a value as `fmt.Sprintf("%#v")` does: Go's own syntax. */
export function goSyntax(value: unknown): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  if (isJsonObject(value)) {
    const members = sortedKeys(value).map((key) => `${goQuote(key)}:${goSyntax(value[key])}`);
    return `map[string]interface {}{${members.join(", ")}}`;
  }
  if (value === null || value === undefined) return "interface {}(nil)";
  return typeof value === "string" ? goQuote(value) : printGoValue(value);
}

/** A parsed document with the details that strict decoding needs. Pass it to `decodeObject` as its options. */
export interface JsonDocument {
  readonly value: unknown;
  /**
   * The members of the objects and arrays that a plain value does not keep as written: because of repeated names (the
   * later value is kept), names like numbers (JavaScript puts them first), or literals of numbers.
   */
  readonly members?: ReadonlyMap<object, readonly JsonMember[]>;
  /** Paths of repeated keys, such as `spec.usages[0].x`, in the order of their repetition. */
  readonly duplicates: readonly string[];
  /** The messages of strict errors found while parsing; YAML reports duplicate keys in this way. */
  readonly strictErrors?: readonly string[];
}

/** The greatest depth of arrays and objects (sigs.k8s.io/json `maxNestingDepth`). */
export const MAX_JSON_DEPTH = 10_000;

/**
 * Returns the members of an object in the order of the text, including repeated ones. JSON has no undefined values, but
 * objects from code in the same process may.
 */
export function listMembers(
  document: Pick<JsonDocument, "members">,
  object: Readonly<Record<string, unknown>>,
): readonly JsonMember[] {
  return document.members?.get(object) ??
    Object.entries(object).flatMap(([key, value]) => value === undefined ? [] : { key, value });
}

/** Reports whether JavaScript sorts a name before all others. */
export function isNumberLike(key: string): boolean {
  const first = key.charCodeAt(0);
  return first >= 48 && first <= 57 && /^(?:0|[1-9][0-9]{0,9})$/.test(key);
}

/** Sets an own property, even if it is named `__proto__`. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else object[key] = value;
}

/** Returns a map with its keys in Go's order, or the same object if they already are. */
export function inGoOrder(map: Record<string, unknown>): Record<string, unknown> {
  const keys = Object.keys(map);
  if (keys.every((key, index) => index === 0 || compareBytes(keys[index - 1]!, key) < 0)) return map;
  const ordered: Record<string, unknown> = {};
  for (const key of keys.sort(compareBytes)) setOwn(ordered, key, map[key]);
  return ordered;
}

/** Reports a well-formed document that is not the expected object, or a malformed protobuf body; code `invalid`. */
export class DecodeError extends AppError {
  constructor(message: string, cause?: unknown) {
    super("invalid", message, { cause });
  }
}

/** Reports text that is not JSON, or not YAML; code `invalid`. */
export class JsonSyntaxError extends AppError {
  constructor(message: string, cause?: unknown) {
    super("invalid", message, { cause });
  }
}
