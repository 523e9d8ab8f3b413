/**
 * Sets of fields, such as those that a manager owns. A set is a tree of path elements; an element is a member itself,
 * has members below it, or both (structured-merge-diff `fieldpath.Set`).
 */

/** A set of fields, by the text of their next path element (`path_element.ts`). */
export type FieldSet = ReadonlyMap<string, FieldNode>;

/** One element of a set, which is a member itself or has members below it. */
export interface FieldNode {
  readonly isMember: boolean;
  readonly children: FieldSet;
}

export type FieldSetBuilder = Map<string, FieldNodeBuilder>;

interface FieldNodeBuilder {
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
  for (const [element, theirs] of b) {
    const ours = union.get(element);
    union.set(
      element,
      ours === undefined ? theirs : {
        isMember: ours.isMember || theirs.isMember,
        children: unite(ours.children, theirs.children),
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
  for (const [element, ours] of a) {
    const theirs = b.get(element);
    if (theirs === undefined) continue;
    const isMember = ours.isMember && theirs.isMember;
    const children = intersect(ours.children, theirs.children);
    if (isMember || children.size > 0) common.set(element, { isMember, children });
  }
  return common;
}

/** Returns the members of the first set that the second does not have; members below a removed one stay. */
export function subtract(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return a;
  const rest = new Map<string, FieldNode>();
  for (const [element, ours] of a) {
    const theirs = b.get(element);
    if (theirs === undefined) {
      rest.set(element, ours);
      continue;
    }
    const isMember = ours.isMember && !theirs.isMember;
    const children = subtract(ours.children, theirs.children);
    if (isMember || children.size > 0) rest.set(element, { isMember, children });
  }
  return rest;
}
