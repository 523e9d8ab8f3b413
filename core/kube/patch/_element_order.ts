/**
 * The order of a merged list: elements that the patch names stand in the patch's order, those that only the server has
 * keep theirs, and the two are interleaved by the order of the stored list (strategicpatch `normalizeElementOrder`).
 */
import { getJsonType, isJsonObject } from "../json_value.ts";
import { badType, listOfLists, noMergeKey, otherFault } from "./_fault.ts";
import { printGoValue } from "./go_value.ts";

/** Orders merged elements; `mergeKey` is empty for lists of scalars. Throws PatchFault. */
export function orderElements(
  merged: readonly unknown[],
  order: readonly unknown[],
  storedOrder: readonly unknown[],
  mergeKey: string,
): unknown[] {
  const inOrder = keySet(order, mergeKey);
  const named = merged.filter((item) => inOrder.has(getElementKey(item, mergeKey)));
  const serverOnly = merged.filter((item) => !inOrder.has(getElementKey(item, mergeKey)));
  return interleave(
    sortBy(serverOnly, storedOrder, mergeKey),
    sortBy(named, order, mergeKey),
    positions(storedOrder, mergeKey),
    mergeKey,
  );
}

/** The value that tells an element from others. Throws PatchFault when a map lacks the merge key. */
export function getElementKey(item: unknown, mergeKey: string): unknown {
  if (mergeKey === "") return item;
  if (!isJsonObject(item)) throw badType("map", item);
  if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
  return item[mergeKey];
}

/** Whether all elements are maps or all scalars of one type. Throws PatchFault for anything else. */
export function elementKind(...lists: readonly (readonly unknown[])[]): "map" | "scalar" {
  const items = lists.flat();
  if (items.length === 0) throw otherFault("no elements in any of the given slices");
  const type = getJsonType(items[0]);
  if (type === "array") throw listOfLists();
  if (type === "null" || items.some((item) => getJsonType(item) !== type)) {
    throw otherFault(`list element types are not identical: ${printGoValue(lists)}`);
  }
  return type === "object" ? "map" : "scalar";
}

function keySet(items: readonly unknown[], mergeKey: string): ReadonlySet<unknown> {
  return new Set(items.map((item) => getElementKey(item, mergeKey)));
}

function positions(items: readonly unknown[], mergeKey: string): ReadonlyMap<unknown, number> {
  const found = new Map<unknown, number>();
  items.forEach((item, index) => {
    const key = getElementKey(item, mergeKey);
    if (!found.has(key)) found.set(key, index);
  });
  return found;
}

function sortBy(items: readonly unknown[], order: readonly unknown[], mergeKey: string): unknown[] {
  const at = positions(order, mergeKey);
  const placed = items.map((item) => ({ item, place: at.get(getElementKey(item, mergeKey)) }));
  if (placed.length > MAX_INSERTION || placed.every(({ place }) => place !== undefined)) {
    return placed.sort((a, b) => (a.place ?? 0) - (b.place ?? 0)).map(({ item }) => item);
  }
  // Upstream calls an element without a place smaller than any other and sorts by insertion. Nothing else would leave
  // the same order.
  const sorted: typeof placed = [];
  for (const next of placed) {
    let index = sorted.length;
    for (; index > 0; index--) {
      const before = sorted[index - 1]?.place;
      if (next.place !== undefined && before !== undefined && next.place >= before) break;
    }
    sorted.splice(index, 0, next);
  }
  return sorted.map(({ item }) => item);
}

/** Go sorts blocks of this size by insertion. */
const MAX_INSERTION = 20;

/** Puts each server-only element before the first named one that stands behind it in the stored list. */
function interleave(
  serverOnly: readonly unknown[],
  named: readonly unknown[],
  stored: ReadonlyMap<unknown, number>,
  mergeKey: string,
): unknown[] {
  const result: unknown[] = [];
  let left = 0;
  let right = 0;
  while (left < serverOnly.length && right < named.length) {
    const a = stored.get(getElementKey(serverOnly[left], mergeKey));
    const b = stored.get(getElementKey(named[right], mergeKey));
    if (a !== undefined && b !== undefined && a < b) result.push(serverOnly[left++]);
    else result.push(named[right++]);
  }
  return [...result, ...serverOnly.slice(left), ...named.slice(right)];
}
