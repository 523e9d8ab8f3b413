/** Reports whether a value is an object with named members, and not a list or a scalar. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parses JSON; undefined for any other text. */
export function tryParseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Finds the value of an untrusted key in a table. Inherited properties, such as `constructor`, are not found. */
export function lookup<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** The members of a record that have a value. */
export type Present<T> = { readonly [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Omits undefined members, which wire types must not have. */
export function omitUndefined<T extends object>(members: T): Present<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Present<T>;
}

/** Omits undefined members, empty strings and empty lists, as Go's `omitempty` does. */
export function omitEmpty<T extends object>(members: T): Present<T> {
  const isEmpty = (value: unknown): boolean => value === "" || (Array.isArray(value) && value.length === 0);
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined && !isEmpty(value)),
  ) as Present<T>;
}

/** Reports whether two lists without duplicates contain the same strings, in any order. */
export function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value) => b.includes(value));
}

/** A member of an object or an element of an array, as the JSON text has it. */
export interface JsonMember {
  /** The name of a member, or the index of an element. */
  readonly key: string;
  readonly value: unknown;
  /** The text of a number that JavaScript would print differently (`1.0`, `1e3`, beyond 2^53). */
  readonly literal?: string;
}
