/** Finds the fields that differ between two states of an object (structured-merge-diff `typed/compare.go`). */
import { getMember, isEmptyList, isEmptyMap, isEqualJson, isJsonObject, type JsonObject } from "../json_value.ts";
import { type AssociativeList, type Atom, findMemberAtom, getItemElement, type Members } from "./atom.ts";
import { fieldElement, type FieldSet, type FieldSetBuilder, insertPath, unite } from "./field_set.ts";

/** The result of a comparison. No field is in two of the sets. */
export interface Comparison {
  readonly removed: FieldSet;
  readonly modified: FieldSet;
  readonly added: FieldSet;
}

/** Returns the fields that were added or modified. */
export function getChangedFields(comparison: Comparison): FieldSet {
  return unite(comparison.modified, comparison.added);
}

/**
 * Compares two states of one type; undefined if an item of a list has no identity. Fields at or below `ignored` do not
 * count. Parts that are identical by reference are not compared.
 */
export function compareFields(before: unknown, after: unknown, atom: Atom, ignored?: FieldSet): Comparison | undefined {
  const walk = new Walk();
  walk.visit(before, after, atom, ignored);
  return walk.isFaulty ? undefined : walk;
}

class Walk implements Comparison {
  readonly removed: FieldSetBuilder = new Map();
  readonly modified: FieldSetBuilder = new Map();
  readonly added: FieldSetBuilder = new Map();
  isFaulty = false;
  readonly #path: string[] = [];

  /** Compares two values; `undefined` is an absent value, `null` a present one. */
  visit(before: unknown, after: unknown, atom: Atom, ignored: FieldSet | undefined): void {
    if (before === after) return;
    if (isLeaf(before, after, atom)) {
      if (!this.#markOneSided(before, after) && !isEqualJson(before, after)) insertPath(this.modified, this.#path);
      return;
    }
    if (atom.kind === "list") this.#items(before, after, atom as AssociativeList);
    else if (atom.kind === "map" || atom.kind === "struct") this.#members(before, after, atom, ignored);
    this.#markOneSided(before, after);
  }

  #members(
    before: unknown,
    after: unknown,
    atom: Members,
    ignored: FieldSet | undefined,
  ): void {
    const [left, right] = [toObject(before), toObject(after)];
    for (const name in right) {
      this.#member(name, getMember(left, name), right[name], findMemberAtom(atom, name), ignored);
    }
    for (const name in left) {
      if (!Object.hasOwn(right, name)) this.#member(name, left[name], undefined, findMemberAtom(atom, name), ignored);
    }
  }

  #member(
    name: string,
    before: unknown,
    after: unknown,
    atom: Atom | undefined,
    ignored: FieldSet | undefined,
  ): void {
    if (before === after || atom === undefined) return;
    const element = fieldElement(name);
    const skipped = ignored?.get(element);
    if (skipped?.isMember === true) return;
    this.#at(element, () => this.visit(before, after, atom, skipped?.children));
  }

  #items(before: unknown, after: unknown, list: AssociativeList): void {
    const left = this.#index(before, list);
    const right = this.#index(after, list);
    for (const element of new Set([...left.keys(), ...right.keys()])) {
      const [ours, theirs] = [left.get(element) ?? [], right.get(element) ?? []];
      this.#at(element, () => this.#item(ours, theirs, list));
    }
  }

  /** Compares items that occur more than once as one list. */
  #item(before: readonly unknown[], after: readonly unknown[], list: AssociativeList): void {
    if (before.length <= 1 && after.length <= 1) this.visit(before[0], after[0], list.of, undefined);
    else if (before.length >= 2 && after.length >= 2) {
      if (!isEqualJson(before, after)) insertPath(this.modified, this.#path);
    } else if (before.length >= 2) {
      if (after.length > 0) this.visit(undefined, after[0], list.of, undefined);
      insertPath(this.removed, this.#path);
    } else {
      if (before.length > 0) this.visit(before[0], undefined, list.of, undefined);
      insertPath(this.added, this.#path);
    }
  }

  #index(value: unknown, list: AssociativeList): ReadonlyMap<string, readonly unknown[]> {
    const found = new Map<string, unknown[]>();
    for (const item of Array.isArray(value) ? value as readonly unknown[] : []) {
      const element = getItemElement(list, item);
      if (!element.ok) {
        this.isFaulty = true;
        continue;
      }
      const items = found.get(element.value);
      if (items === undefined) found.set(element.value, [item]);
      else items.push(item);
    }
    return found;
  }

  #markOneSided(before: unknown, after: unknown): boolean {
    if (before === undefined) insertPath(this.added, this.#path);
    else if (after === undefined) insertPath(this.removed, this.#path);
    return before === undefined || after === undefined;
  }

  #at(element: string, act: () => void): void {
    this.#path.push(element);
    act();
    this.#path.pop();
  }
}

/** Reports whether two values are compared as a whole; two empty containers are, so that `null` and `[]` differ. */
function isLeaf(before: unknown, after: unknown, atom: Atom): boolean {
  switch (atom.kind) {
    case "scalar":
    case "any":
      return true;
    case "list":
      return atom.relation === "atomic" || (isEmptyList(before) && isEmptyList(after));
    default:
      return atom.isAtomic || (isEmptyMap(before) && isEmptyMap(after));
  }
}

const EMPTY: JsonObject = {};

function toObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : EMPTY;
}
