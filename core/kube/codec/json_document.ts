/** What parsing gives: a plain value, and beside it what a plain value cannot say but decoding must know. */

/** A member of an object or an element of an array, as it stands in the text. */
export interface JsonMember {
  /** The name, or the index. */
  readonly key: string;
  readonly value: unknown;
  /** How a number was written where JavaScript would write it differently (`1.0`, `1e3`, beyond 2^53). */
  readonly literal?: string;
}

/** Parsed text, with what strict decoding wants to know of it. Pass the whole as options to `decodeObject`. */
export interface JsonDocument {
  readonly value: unknown;
  /**
   * The members of the objects and arrays that a plain value does not keep as written: names that come more than once
   * (the later value is kept), names like numbers (JavaScript puts them first), literals of numbers.
   */
  readonly members?: ReadonlyMap<object, readonly JsonMember[]>;
  /** Paths of keys that came more than once, such as `spec.usages[0].x`, in the order in which they came again. */
  readonly duplicates: readonly string[];
  /** Strict errors found while parsing, as whole texts; YAML reports duplicate keys in this way. */
  readonly strictErrors?: readonly string[];
}

/** Greatest nesting of arrays and objects (sigs.k8s.io/json `maxNestingDepth`). */
export const MAX_JSON_DEPTH = 10_000;

/** The members of an object in the order of the text, repeated ones too. */
export function listMembers(
  document: Pick<JsonDocument, "members">,
  object: Readonly<Record<string, unknown>>,
): readonly JsonMember[] {
  return document.members?.get(object) ?? Object.keys(object).map((key) => ({ key, value: object[key] }));
}

/** Tells names that JavaScript sorts before all others. */
export function isNumberLike(key: string): boolean {
  const first = key.charCodeAt(0);
  return first >= 48 && first <= 57 && /^(?:0|[1-9][0-9]{0,9})$/.test(key);
}

/** Sets an own property, also one named `__proto__`. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else object[key] = value;
}
