/**
 * Parses tlsboot's own YAML files (policies, profiles, inventories) strictly: every fault is reported with its place, and an
 * unknown key with the nearest known one. Kubernetes objects have their own rules and messages in `core/kube`.
 */
import { TLSBOOT_API_VERSION } from "../version.ts";
import { isRecord } from "./record.ts";
import { err, ok, type Result } from "./result.ts";
import { readYaml } from "./yaml/document.ts";
import { parseSettingDuration, WANT_DURATION } from "./duration.ts";
import { findNearest } from "./nearest.ts";
import { parseCidr } from "./ip_address.ts";

/** The path of a value in its file, and the list that collects faults. */
export interface ConfigPlace {
  /** Such as `rules[1].match.users`; empty at the root. */
  readonly path: string;
  readonly faults: string[];
}

/** Parses a value, or adds a fault and returns undefined. */
export type Shape<T> = (value: unknown, place: ConfigPlace) => T | undefined;

/** One key of a mapping. */
export interface Key<T> {
  readonly shape: Shape<T>;
  /** Whether the parsed mapping always has the key, because the file must have it or it has a default. */
  readonly required: boolean;
  readonly fallback?: T;
}

/** A key that must be present. */
export function requiredKey<T>(shape: Shape<T>): Key<T> & { readonly required: true } {
  return { shape, required: true };
}

/** A key that may be absent. */
export function optionalKey<T>(shape: Shape<T>): Key<T> & { readonly required: false } {
  return { shape, required: false };
}

/** A key that may be absent and then has a default value. */
export function defaultKey<T>(shape: Shape<T>, fallback: NoInfer<T>): Key<T> & { readonly required: true } {
  return { shape, required: true, fallback };
}

/** A shape whose value is converted or checked further after it was parsed without a fault. */
export function mapped<T, U>(shape: Shape<T>, convert: (value: T, place: ConfigPlace) => U | undefined): Shape<U> {
  return (value, place) => {
    const before = place.faults.length;
    const read = shape(value, place);
    return read === undefined || place.faults.length > before ? undefined : convert(read, place);
  };
}

/** The parsed type of a mapping with these keys. */
export type Read<K extends Readonly<Record<string, Key<unknown>>>> =
  & { readonly [P in keyof K as K[P]["required"] extends true ? P : never]: ValueOf<K[P]> }
  & { readonly [P in keyof K as K[P]["required"] extends true ? never : P]?: ValueOf<K[P]> };

type ValueOf<K> = K extends Key<infer T> ? T : never;

/** A mapping with these keys and no others. */
export function mapping<K extends Readonly<Record<string, Key<unknown>>>>(keys: K): Shape<Read<K>> {
  return (value, place) => {
    if (!isRecord(value)) return fault(place, "want a mapping");
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(keys, key)) fault(within(place, key), `unknown key${suggestion(key, Object.keys(keys))}`);
    }
    const read: Record<string, unknown> = {};
    for (const [key, { shape, required: isRequired, fallback }] of Object.entries(keys)) {
      const member = Object.hasOwn(value, key) ? value[key] : undefined;
      if (member === undefined || member === null) {
        if (fallback !== undefined) read[key] = fallback;
        else if (isRequired) fault(within(place, key), "missing");
        continue;
      }
      const parsed = shape(member, within(place, key));
      if (parsed !== undefined) read[key] = parsed;
    }
    // Each value has the type of its shape. A missing key has added a fault, so the file is refused.
    return read as Read<K>;
  };
}

/** A list whose elements have the given shape. */
export function listOf<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) return fault(place, "want a list");
    return value.flatMap((item: unknown, index) => {
      const parsed = shape(item, { ...place, path: `${place.path}[${index}]` });
      return parsed === undefined ? [] : [parsed];
    });
  };
}

/** A list with at least one element. */
export function nonEmptyListOf<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value, place) => {
    if (Array.isArray(value) && value.length === 0) return fault(place, "want at least one");
    return listOf(shape)(value, place);
  };
}

/** A text with at least one character. */
export function text(value: unknown, place: ConfigPlace): string | undefined {
  return typeof value === "string" && value !== "" ? value : fault(place, "want text");
}

/** A value that is `true` or `false`. */
export function flag(value: unknown, place: ConfigPlace): boolean | undefined {
  return typeof value === "boolean" ? value : fault(place, "want true or false");
}

/** A whole number of at least `least`. */
export function integer(least: number): Shape<number> {
  return (value, place) =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= least
      ? value
      : fault(place, `want a whole number of at least ${least}`);
}

export function oneOf<const W extends string>(words: readonly W[]): Shape<W> {
  return (value, place) => {
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    if (typeof value !== "string") return fault(place, `want one of ${words.join(", ")}`);
    return fault(place, `unknown value "${value}"${suggestion(value, words)}`);
  };
}

/** A positive duration such as `90m`, `720h`, `90d` or `10y`; the value is in milliseconds. */
export function duration(value: unknown, place: ConfigPlace): number | undefined {
  const parsed = typeof value === "string" ? parseSettingDuration(value) : undefined;
  if (parsed?.ok === true && parsed.value > 0) return parsed.value;
  return fault(place, WANT_DURATION);
}

/** A text that passes a check, which returns the fault of the text or undefined. */
export function checkedText(check: (value: string) => string | undefined): Shape<string> {
  return mapped(text, (read, place) => {
    const what = check(read);
    return what === undefined ? read : fault(place, what);
  });
}

/** An IP address or a range of them, as text. */
export const ipRange: Shape<string> = checkedText((value) =>
  parseCidr(value) === undefined ? `"${value}" is neither an IP address nor a CIDR range` : undefined
);

/** Adds a fault at a place. */
export function fault(place: ConfigPlace, what: string): undefined {
  place.faults.push(place.path === "" ? what : `${place.path}: ${what}`);
  return undefined;
}

/** The place of a key within a mapping. */
function within(place: ConfigPlace, key: string): ConfigPlace {
  return { ...place, path: place.path === "" ? key : `${place.path}.${key}` };
}

function suggestion(word: string, known: readonly string[]): string {
  const nearest = findNearest(word, known);
  return nearest === undefined ? `; known are ${known.join(", ")}` : `; did you mean ${nearest}?`;
}

/** Parses a file of one kind. The error lists every fault; the caller adds the name of the file. */
export function parseConfigDocument<T>(
  text: string,
  kind: string,
  shape: Shape<T>,
  version: string = TLSBOOT_API_VERSION,
): Result<T, readonly string[]> {
  const content = readYaml(text);
  if (!content.ok) return err([`not YAML: ${content.error}`]);
  if (!isRecord(content.value)) return err(["want a mapping"]);
  const { apiVersion, kind: foundKind, ...rest } = content.value;
  const faults = [
    ...(apiVersion === version ? [] : [`apiVersion: must be "${version}"`]),
    ...(foundKind === kind ? [] : [`kind: must be "${kind}"`]),
  ];
  const read = shape(rest, { path: "", faults });
  return faults.length === 0 && read !== undefined ? ok(read) : err(faults);
}
