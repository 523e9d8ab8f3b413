/**
 * Sets of fields, such as those that a manager owns. A set is a tree of path elements; an element is a member itself,
 * has members below it, or both (structured-merge-diff `fieldpath.Set`).
 *
 * Path elements are as FieldsV1 writes them: `f:<field>`, `k:<key fields as JSON>` and `v:<value as JSON>` of list items,
 * `i:<index>` (`fieldpath/element.go`, `serialize-pe.go`). In memory an element is this text, in its canonical spelling, so
 * that equal elements are equal strings.
 */
import { compareBytes, goQuote, marshalJson } from "../../lib/go_text.ts";
import { tryParseJson } from "../../lib/record.ts";
import { isJsonObject } from "../json_value.ts";

/** A set of fields, by the text of their next path element. */
export type FieldSet = ReadonlyMap<string, FieldNode>;

/** One element of a set, which is a member itself or has members below it. */
export interface FieldNode {
  readonly isMember: boolean;
  readonly children: FieldSet;
}

export type FieldSetBuilder = Map<string, FieldNodeBuilder>;

/** One element of a set that is being built. */
export interface FieldNodeBuilder {
  isMember: boolean;
  readonly children: FieldSetBuilder;
}

export const NO_FIELDS: FieldSet = new Map();

/** Makes the field at a path a member, but not the fields above it. The empty path has no effect. */
export function insertPath(into: FieldSetBuilder, path: readonly string[]): void {
  let set = into;
  for (let depth = 0; depth < path.length; depth++) {
    const element = path[depth]!;
    let node = set.get(element);
    if (node === undefined) {
      node = { isMember: false, children: new Map() };
      set.set(element, node);
    }
    if (depth === path.length - 1) node.isMember = true;
    set = node.children;
  }
}

export function createFieldSet(...paths: readonly (readonly string[])[]): FieldSet {
  const set: FieldSetBuilder = new Map();
  for (const path of paths) insertPath(set, path);
  return set;
}

/** Returns the members of either set. */
export function unite(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || a === b) return b;
  if (b.size === 0) return a;
  const union = new Map(a);
  for (const [element, right] of b) {
    const left = union.get(element);
    union.set(
      element,
      left === undefined ? right : {
        isMember: left.isMember || right.isMember,
        children: unite(left.children, right.children),
      },
    );
  }
  return union;
}

export function uniteAll(sets: readonly FieldSet[]): FieldSet {
  if (sets.length < 2) return sets[0] ?? NO_FIELDS;
  const middle = sets.length >> 1;
  return unite(uniteAll(sets.slice(0, middle)), uniteAll(sets.slice(middle)));
}

/** Returns the members that both sets have. */
export function intersect(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return NO_FIELDS;
  const common = new Map<string, FieldNode>();
  for (const [element, left] of a) {
    const right = b.get(element);
    if (right === undefined) continue;
    const isMember = left.isMember && right.isMember;
    const children = intersect(left.children, right.children);
    if (isMember || children.size > 0) common.set(element, { isMember, children });
  }
  return common;
}

/** Returns the members of the first set that the second does not have; members below a removed one stay. */
export function subtract(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return a;
  const rest = new Map<string, FieldNode>();
  for (const [element, left] of a) {
    const right = b.get(element);
    if (right === undefined) {
      rest.set(element, left);
      continue;
    }
    const isMember = left.isMember && !right.isMember;
    const children = subtract(left.children, right.children);
    if (isMember || children.size > 0) rest.set(element, { isMember, children });
  }
  return rest;
}

/** Returns the element of a field or of a map's entry. */
export function fieldElement(name: string): string {
  return `f:${name}`;
}

/** Returns the element of a list item that is identified by some of its fields. */
export function keyElement(fields: readonly (readonly [name: string, value: unknown])[]): string {
  const sorted = fields.length < 2 ? fields : fields.toSorted(([a], [b]) => compareBytes(a, b));
  return `k:{${sorted.map(([name, value]) => `${marshalJson(name)}:${marshalJson(value)}`).join(",")}}`;
}

/** Returns the element of an item of a set. */
export function valueElement(value: unknown): string {
  return `v:${marshalJson(value)}`;
}

type ParsedElement =
  | { readonly kind: "element"; readonly element: string }
  /** An element of an unknown type, which is dropped with everything below it. */
  | { readonly kind: "unknown" }
  | { readonly kind: "malformed" };

const MALFORMED: ParsedElement = { kind: "malformed" };

/** Parses an element in any spelling. */
export function parseElement(text: string): ParsedElement {
  if (text[1] !== ":") return MALFORMED;
  const rest = text.slice(2);
  switch (text[0]) {
    case "f":
      return { kind: "element", element: text };
    case "i":
      return /^[+-]?\d{1,18}$/.test(rest) ? { kind: "element", element: `i:${Number(rest)}` } : MALFORMED;
    case "v":
    case "k": {
      const value = tryParseJson(rest);
      if (value === undefined) return MALFORMED;
      if (text[0] === "v") return { kind: "element", element: valueElement(value) };
      if (value === null) return { kind: "element", element: "k:{}" };
      if (!isJsonObject(value)) return MALFORMED;
      return { kind: "element", element: keyElement(Object.entries(value)) };
    }
    default:
      return { kind: "unknown" };
  }
}

/** Compares elements in the order in which a set is written: fields, keyed items, items of sets, indices. */
export function compareElements(a: string, b: string): number {
  if (a[0] === "f" && b[0] === "f") return compareBytes(a, b);
  if (a[0] !== b[0]) return "fkvi".indexOf(a[0]!) - "fkvi".indexOf(b[0]!);
  const [left, right] = [tryParseJson(a.slice(2)), tryParseJson(b.slice(2))];
  return a[0] === "k" ? compareKeys(left, right) : compareValues(left, right);
}

/** Formats an element for messages: `.name`, `[type="Ready"]`, `[="x"]`, `[0]`. */
export function printElement(element: string): string {
  const rest = element.slice(2);
  switch (element[0]) {
    case "f":
      return `.${rest}`;
    case "k": {
      const fields = Object.entries(tryParseJson(rest) ?? {});
      return `[${fields.map(([name, value]) => `${name}=${printValue(value)}`).join(",")}]`;
    }
    case "v":
      return `[=${printValue(tryParseJson(rest))}]`;
    default:
      return `[${rest}]`;
  }
}

function printValue(value: unknown): string {
  if (typeof value === "string") return goQuote(value);
  if (Array.isArray(value)) return `[${value.map(printValue).join(",")}]`;
  if (isJsonObject(value)) return Object.entries(value).map(([key, item]) => `${key}=${printValue(item)}`).join("");
  return String(value);
}

function compareKeys(a: unknown, b: unknown): number {
  const [left, right] = [Object.entries(a ?? {}), Object.entries(b ?? {})];
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const byName = compareBytes(left[index]![0], right[index]![0]);
    if (byName !== 0) return byName;
    const byValue = compareValues(left[index]![1], right[index]![1]);
    if (byValue !== 0) return byValue;
  }
  return left.length - right.length;
}

/** Ranks types: numbers, text, booleans, and then types that no list of a known kind has as a key. */
function compareValues(a: unknown, b: unknown): number {
  const byType = rankType(a) - rankType(b);
  if (byType !== 0) return byType;
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return compareBytes(a, b);
  return compareBytes(marshalJson(a), marshalJson(b));
}

function rankType(value: unknown): number {
  if (Array.isArray(value)) return 3;
  const rank = ["number", "string", "boolean"].indexOf(typeof value);
  if (rank >= 0) return rank;
  return value === null ? 5 : 4;
}
