/** The result of parsing: a plain value, and the details of its text that a plain value cannot express. */
import { compareBytes } from "../../lib/byte_order.ts";

/** A member of an object or an element of an array, as it is in the text. */
export interface JsonMember {
  /** The name of a member, or the index of an element. */
  readonly key: string;
  readonly value: unknown;
  /** The text of a number that JavaScript would print differently (`1.0`, `1e3`, beyond 2^53). */
  readonly literal?: string;
}

/** Parsed text with what strict decoding needs to know about it. Pass all of it as options to `decodeObject`. */
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
 * Returns the members of an object in the order of the text, with repeated ones. JSON has no undefined values, but objects
 * of code in the same process may.
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

/** Returns a map with its keys in Go's order: the same one if it has that order already. */
export function inGoOrder(map: Record<string, unknown>): Record<string, unknown> {
  const keys = Object.keys(map);
  if (keys.every((key, index) => index === 0 || compareBytes(keys[index - 1]!, key) < 0)) return map;
  const ordered: Record<string, unknown> = {};
  for (const key of keys.sort(compareBytes)) setOwn(ordered, key, map[key]);
  return ordered;
}
