/**
 * Removes the fields that an applier no longer sets, unless another manager owns them (structured-merge-diff
 * `merge/update.go`, `typed/remove.go`).
 */
import { type AssociativeList, type Atom, findMemberAtom, type Members } from "./atom.ts";
import { type FieldNode, type FieldSet, intersect, subtract, unite, uniteAll } from "./field_set.ts";
import { collectLeaves } from "./leaves.ts";
import type { Managers } from "./managers.ts";
import { setOwn } from "../wire/json_parser.ts";
import { isJsonObject, type JsonObject } from "../json_value.ts";
import { getItemElement } from "./list_item.ts";
import { fieldElement } from "./path_element.ts";

/**
 * Removes from a merged object the fields that its applier owned by `last` and that no one owns now.
 *
 * @param managers all managers of this API version, with the applier's new set
 */
export function pruneFields(
  merged: unknown,
  atom: Atom,
  last: FieldSet,
  managers: Managers,
  apiVersion: string,
): unknown {
  if (last.size === 0) return merged;
  const before = withNamedFields(collectLeaves(merged, atom), atom);
  const lastNamed = withNamedFields(last, atom);
  const bare = removeFields(merged, atom, lastNamed);
  const owners = [...managers.values()].filter((entry) => entry.apiVersion === apiVersion);
  const owned = uniteAll(owners.map(({ set }) => set));
  // Restores the fields that a manager owns,
  const kept = unite(withNamedFields(collectLeaves(bare, atom), atom), withNamedFields(owned, atom));
  const restored = removeFields(merged, atom, subtract(before, kept));
  // and the fields that were removed with others although the applier never owned them.
  const gone = subtract(before, withNamedFields(collectLeaves(restored, atom), atom));
  return removeFields(merged, atom, intersect(gone, lastNamed));
}

/** Removes the members of a set from a value; null if a container becomes empty. Atomic values are removed as a whole. */
export function removeFields(value: unknown, atom: Atom, fields: FieldSet): unknown {
  switch (atom.kind) {
    case "scalar":
    case "any":
      return value;
    case "list":
      return atom.relation === "atomic" ? null : removeItems(value, atom, fields);
    default:
      return atom.isAtomic ? null : removeMembers(value, atom, fields);
  }
}

function removeItems(value: unknown, list: AssociativeList, fields: FieldSet): unknown {
  if (!Array.isArray(value)) return null;
  const kept: unknown[] = [];
  for (const item of value as readonly unknown[]) {
    const element = getItemElement(list, item);
    const node = element.ok ? fields.get(element.value) : undefined;
    if (node?.isMember === true) continue;
    kept.push(node === undefined ? item : removeFields(item, list.of, node.children));
  }
  return kept.length === 0 ? null : kept;
}

function removeMembers(
  value: unknown,
  atom: Members,
  fields: FieldSet,
): unknown {
  if (!isJsonObject(value)) return null;
  const kept: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const node = fields.get(fieldElement(name));
    if (node?.isMember === true) continue;
    const type = findMemberAtom(atom, name);
    setOwn(kept, name, node === undefined || type === undefined ? member : removeFields(member, type, node.children));
  }
  return Object.keys(kept).length === 0 ? null : kept;
}

/**
 * Adds the named fields above its members to a set: a field of a struct is removed when everything below it is, an entry
 * of a map is not (structured-merge-diff `EnsureNamedFieldsAreMembers`).
 */
export function withNamedFields(set: FieldSet, atom: Atom | undefined): FieldSet {
  let named: Map<string, FieldNode> | undefined;
  for (const [element, { isMember, children }] of set) {
    const isField = element.startsWith("f:");
    let type: Atom | undefined;
    if (isField && (atom?.kind === "struct" || atom?.kind === "map")) type = findMemberAtom(atom, element.slice(2));
    else if (element.startsWith("k:") && atom?.kind === "list") type = atom.of;
    const node = {
      isMember: isMember || (isField && atom?.kind === "struct" && type !== undefined && children.size > 0),
      children: children.size === 0 ? children : withNamedFields(children, type),
    };
    if (node.isMember === isMember && node.children === children) continue;
    named ??= new Map(set);
    named.set(element, node);
  }
  return named ?? set;
}
