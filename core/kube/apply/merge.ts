/**
 * Merges a configuration into an object: fields that the configuration sets win, all others stay, and items have the
 * configuration's order with the object's in between (structured-merge-diff `typed/merge.go`).
 */
import { setOwn } from "../wire/json_parser.ts";
import { getMember, isEmptyList, isEmptyMap, isJsonObject, type JsonObject } from "../json_value.ts";
import { type AssociativeList, type Atom, findMemberAtom, type Members } from "./atom.ts";
import { getItemElement } from "./list_item.ts";

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
  const [ours, theirs] = [isJsonObject(live) ? live : {}, isJsonObject(config) ? config : {}];
  for (const name of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    const type = findMemberAtom(atom, name);
    const value = getMember(theirs, name);
    setOwn(merged, name, type === undefined ? value : mergeValue(getMember(ours, name), value, type));
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
  const ours = toItems(live, list);
  const theirs = toItems(config, list);
  const [byOurs, byTheirs] = [indexItems(ours), indexItems(theirs)];
  const shared = theirs.filter(({ element }) => byOurs.has(element)).map(({ element }) => element);
  let sharedAt = 0;
  const merged = new Set<string>();
  const out: unknown[] = [];
  const take = ({ element, value }: Item): void => {
    merged.add(element);
    // If an item occurs more than once, it is unclear which one to merge into.
    const counterpart = byOurs.get(element);
    out.push(mergeValue(counterpart?.isRepeated === true ? null : counterpart?.value, value, list.of));
  };
  let left = 0;
  let right = 0;
  while (left < ours.length || right < theirs.length) {
    const our = ours[left];
    const their = theirs[right];
    if (our !== undefined && their !== undefined) {
      if (our.element === their.element) {
        take(their);
        left++;
        right++;
        sharedAt++;
        continue;
      }
      const nextShared = shared[sharedAt];
      if (byTheirs.has(our.element) && nextShared !== undefined && nextShared !== our.element) {
        left++;
        continue;
      }
    }
    if (our !== undefined) {
      if (!byTheirs.has(our.element)) {
        out.push(our.value);
        left++;
        continue;
      }
      if (merged.has(our.element)) left++;
    }
    if (their !== undefined) {
      take(their);
      right++;
      if (shared[sharedAt] === their.element) sharedAt++;
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
