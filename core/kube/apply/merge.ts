/**
 * Merges a configuration into an object: fields that the configuration sets win, and all others stay. Items have the
 * configuration's order, with items that only the object has in between (structured-merge-diff `typed/merge.go`). Then
 * removes the fields that the applier no longer sets, unless another manager owns them (`typed/tofieldset.go`,
 * `merge/update.go`, `typed/remove.go`).
 */
import { getMember, isEmptyList, isEmptyMap, isJsonObject, type JsonObject, setOwn } from "../json_value.ts";
import { type AssociativeList, type Atom, findMemberAtom, getItemElement, type Members } from "./atom.ts";
import {
  fieldElement,
  type FieldNode,
  type FieldSet,
  type FieldSetBuilder,
  insertPath,
  intersect,
  subtract,
  unite,
  uniteAll,
} from "./field_set.ts";
import type { Managers } from "./managers.ts";

/** Merges a configuration into a live value of the same type without changing either; undefined is absent. */
export function mergeValue(live: unknown, config: unknown, atom: Atom): unknown {
  if (config === undefined || live === config) return live;
  switch (atom.kind) {
    case "scalar":
    case "any":
      return config;
    case "list":
      if (atom.relation === "atomic" || (isEmptyList(live) && isEmptyList(config))) return config;
      return mergeItems(toList(live), toList(config), atom);
    default:
      if (atom.isAtomic || (isEmptyMap(live) && isEmptyMap(config))) return config;
      return mergeMembers(live, config, atom);
  }
}

function mergeMembers(
  live: unknown,
  config: unknown,
  atom: Members,
): unknown {
  const merged: JsonObject = {};
  const [liveMembers, configMembers] = [isJsonObject(live) ? live : {}, isJsonObject(config) ? config : {}];
  for (const name of new Set([...Object.keys(liveMembers), ...Object.keys(configMembers)])) {
    const type = findMemberAtom(atom, name);
    const value = getMember(configMembers, name);
    setOwn(merged, name, type === undefined ? value : mergeValue(getMember(liveMembers, name), value, type));
  }
  return merged;
}

/** An item and the path element that identifies it. */
interface Item {
  readonly element: string;
  readonly value: unknown;
}

/**
 * Merges items. Items of both sides have the configuration's order, and items that only the object has keep their place
 * before the next shared one.
 */
function mergeItems(live: readonly unknown[], config: readonly unknown[], list: AssociativeList): unknown {
  const liveItems = toItems(live, list);
  const configItems = toItems(config, list);
  const [liveByElement, configByElement] = [indexItems(liveItems), indexItems(configItems)];
  const shared = configItems.filter(({ element }) => liveByElement.has(element)).map(({ element }) => element);
  let sharedAt = 0;
  const merged = new Set<string>();
  const out: unknown[] = [];
  const take = ({ element, value }: Item): void => {
    merged.add(element);
    // If an item occurs more than once, it is unclear which one to merge into.
    const counterpart = liveByElement.get(element);
    out.push(mergeValue(counterpart?.isRepeated === true ? null : counterpart?.value, value, list.of));
  };
  let left = 0;
  let right = 0;
  while (left < liveItems.length || right < configItems.length) {
    const liveItem = liveItems[left];
    const configItem = configItems[right];
    if (liveItem !== undefined && configItem !== undefined) {
      if (liveItem.element === configItem.element) {
        take(configItem);
        left++;
        right++;
        sharedAt++;
        continue;
      }
      const nextShared = shared[sharedAt];
      if (configByElement.has(liveItem.element) && nextShared !== undefined && nextShared !== liveItem.element) {
        left++;
        continue;
      }
    }
    if (liveItem !== undefined) {
      if (!configByElement.has(liveItem.element)) {
        out.push(liveItem.value);
        left++;
        continue;
      }
      if (merged.has(liveItem.element)) left++;
    }
    if (configItem !== undefined) {
      take(configItem);
      right++;
      if (shared[sharedAt] === configItem.element) sharedAt++;
    }
  }
  return out.length === 0 ? undefined : out;
}

function toItems(values: readonly unknown[], list: AssociativeList): readonly Item[] {
  return values.flatMap((value) => {
    const element = getItemElement(list, value);
    return element.ok ? [{ element: element.value, value }] : [];
  });
}

function indexItems(
  items: readonly Item[],
): ReadonlyMap<string, { readonly value: unknown; readonly isRepeated: boolean }> {
  const found = new Map<string, { readonly value: unknown; readonly isRepeated: boolean }>();
  for (const { element, value } of items) found.set(element, { value, isRepeated: found.has(element) });
  return found;
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * Removes from a merged object the fields that are in `last`, its applier's earlier set, and that no one owns now.
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
  // Restore the fields that a manager owns.
  const kept = unite(withNamedFields(collectLeaves(bare, atom), atom), withNamedFields(owned, atom));
  const restored = removeFields(merged, atom, subtract(before, kept));
  // Restore the fields that were removed with others although the applier never owned them.
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
 * Adds the struct fields above its members to a set, because a field of a struct is removed with everything below it. An
 * entry of a map is not (structured-merge-diff `EnsureNamedFieldsAreMembers`).
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

/** Collects every leaf and every item of a value that fits its type, without those at or below `ignored`. */
export function collectLeaves(value: unknown, atom: Atom, ignored?: FieldSet): FieldSet {
  const walk = new Walk();
  walk.visit(value, atom, ignored);
  return walk.set;
}

class Walk {
  readonly set: FieldSetBuilder = new Map();
  readonly #path: string[] = [];

  visit(value: unknown, atom: Atom, ignored: FieldSet | undefined): void {
    switch (atom.kind) {
      case "scalar":
      case "any":
        return this.#insert();
      case "list":
        if (atom.relation === "atomic") return this.#insert();
        if (Array.isArray(value)) this.#items(value, atom);
        return;
      default:
        if (atom.isAtomic) return this.#insert();
        if (isJsonObject(value)) this.#members(value, atom, ignored);
    }
  }

  #members(value: object, atom: Members, ignored?: FieldSet): void {
    for (const [name, member] of Object.entries(value)) {
      const element = fieldElement(name);
      const type = findMemberAtom(atom, name);
      const skipped = ignored?.get(element);
      if (type === undefined || skipped?.isMember === true) continue;
      this.#path.push(element);
      this.visit(member, type, skipped?.children);
      // Entries of maps are owned in addition to their contents, fields of structs only if they are empty.
      if (atom.kind === "map" || member === null || (isJsonObject(member) && isEmptyMap(member))) this.#insert();
      this.#path.pop();
    }
  }

  #items(items: readonly unknown[], list: AssociativeList): void {
    const elements = items.map((item) => getElement(list, item));
    const seen = new Set<string>();
    const repeated = new Set<string>();
    for (const element of elements) {
      if (seen.has(element)) repeated.add(element);
      seen.add(element);
    }
    items.forEach((item, index) => {
      this.#path.push(elements[index]!);
      // Items with the same identity are only owned as a whole.
      if (!repeated.has(elements[index]!)) this.visit(item, list.of, undefined);
      this.#insert();
      this.#path.pop();
    });
  }

  #insert(): void {
    insertPath(this.set, this.#path);
  }
}

function getElement(list: AssociativeList, item: unknown): string {
  const element = getItemElement(list, item);
  // Items without an element cannot be owned; a valid value has none.
  return element.ok ? element.value : "v:null";
}
