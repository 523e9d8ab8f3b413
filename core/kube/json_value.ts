/** JSON values that may be changed in place: patches work on copies of these. */

import { setOwn } from "./codec/json_parser.ts";

/** A parsed JSON object. */
export type JsonObject = { [key: string]: unknown };

/** What a JSON value is. */
export type JsonType = "object" | "array" | "string" | "number" | "boolean" | "null";

/** Deeper documents are refused, so that recursion always ends. No Kubernetes object comes near. */
const MAX_DEPTH = 1_000;

/** Tells an object from lists and scalars. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The type of a JSON value; anything else counts as null. */
export function typeOf(value: unknown): JsonType {
  if (Array.isArray(value)) return "array";
  switch (typeof value) {
    case "object":
      return value === null ? "null" : "object";
    case "string":
    case "number":
    case "boolean":
      return typeof value as JsonType;
    default:
      return "null";
  }
}

/** An own member, or undefined; members of the prototype do not exist here. */
export function getMember(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** A deep copy; undefined members vanish. */
export function cloneJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneJson);
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (item !== undefined) setOwn(copy, key, cloneJson(item));
  }
  return copy;
}

/** Compares two JSON values; the order of members does not count. */
export function isEqualJson(a: unknown, b: unknown): boolean {
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isEqualJson(item, b[index]));
  }
  if (!isJsonObject(a)) return a === b;
  if (!isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isEqualJson(a[key], b[key]));
}

/** Tells whether a document is nested too deeply to be worked on. */
export function isTooDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
    if (level.length === 0) return false;
  }
  return true;
}

/** A value without the members that are null; elements of lists stay. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (item !== null) setOwn(kept, key, withoutNulls(item));
  }
  return kept;
}
