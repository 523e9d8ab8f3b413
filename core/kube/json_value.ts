/** JSON values that may be changed in place: patches work on copies of these. */
import { type JsonDocument, setOwn } from "./wire/json_document.ts";

/**
 * A number in the text in which it was sent. Go works on the text of a JSON or merge patch, so `1.0`, `1e3` and
 * integers beyond 2^53 stay unchanged, which a JavaScript number would not preserve.
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

  /** Lets `JSON.stringify` print the text as it is. */
  toJSON(): unknown {
    return (JSON as unknown as RawJson).rawJSON(this.literal);
  }
}

/** `JSON.rawJSON` (ECMAScript), which the types of TypeScript do not have yet. */
interface RawJson {
  rawJSON(text: string): unknown;
}

/** A parsed JSON object, which may be changed. */
export type JsonObject = { [key: string]: unknown };

export type JsonType = "object" | "array" | "string" | "number" | "boolean" | "null";

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
  for (const key in value) return key === undefined;
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

/** Returns the text in which a number was sent, or as JSON prints it. */
export function formatJsonNumber(value: number | ExactNumber): string {
  return value instanceof ExactNumber ? value.literal : String(value);
}

/**
 * Returns the value of a document, with an ExactNumber for each number that JavaScript would print differently.
 *
 * @param isKept which of them to keep; others stay plain numbers
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

/** Reports whether a document is nested too deeply for recursive functions; `depth` is that of the value in it. */
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
