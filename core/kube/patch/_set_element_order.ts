/** `$setElementOrder/<list>`: the order that a merged list shall have (strategicpatch `mergePatchIntoOriginal`). */
import { setOwn } from "../codec/json_parser.ts";
import type { FieldType } from "../schema.ts";
import { elementKind, keyOf, orderElements } from "./_element_order.ts";
import { badDirective, badType, otherFault } from "./_fault.ts";
import { getMember, isObject, type JsonObject } from "./_json.ts";
import { findListMeta } from "./_merge_keys.ts";
import { mergeList, type MergeMaps, storedOrderAfter } from "./_merge_list.ts";
import { printGoValue } from "./go_value.ts";

/** Prefix of the directive. */
export const SET_ELEMENT_ORDER = "$setElementOrder";

/** Merges every list that has an order, and takes both list and directive out of the patch. Throws PatchFault. */
export function applyElementOrder(
  stored: JsonObject,
  patch: JsonObject,
  type: FieldType,
  mergeMaps: MergeMaps,
  withoutDirectives: (value: unknown) => unknown,
): void {
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(SET_ELEMENT_ORDER)) continue;
    delete patch[directive];
    if (!Array.isArray(order)) throw badType("list", order);
    if (!directive.startsWith(`${SET_ELEMENT_ORDER}/`)) throw badDirective("setElementOrder list");
    const key = directive.slice(SET_ELEMENT_ORDER.length + 1);
    const current = listMember(stored, key);
    const wanted = listMember(patch, key);
    const meta = findListMeta(type, key);
    assertConsistent(wanted, order, meta.mergeKey);
    if (current === undefined && wanted === undefined) continue;
    const merged = wanted === undefined
      ? current ?? []
      : current === undefined
      ? withoutDirectives(wanted) as unknown[]
      : mergeList(current, wanted, meta, mergeMaps);
    // Refuses what cannot be ordered.
    elementKind(current ?? [], wanted ?? []);
    const storedOrder = storedOrderAfter(current ?? [], wanted ?? [], meta);
    setOwn(stored, key, orderElements(merged, order, storedOrder, meta.mergeKey));
    delete patch[key];
  }
}

function listMember(object: JsonObject, key: string): unknown[] | undefined {
  if (!Object.hasOwn(object, key)) return undefined;
  const value = getMember(object, key);
  if (!Array.isArray(value)) throw badType("list", value);
  return value;
}

/** The patch's elements must stand in the order list, in the same order; deletions do not count. */
function assertConsistent(wanted: unknown[] | undefined, order: unknown[], mergeKey: string): void {
  if (wanted === undefined || wanted.length === 0 || order.length === 0) return;
  const items = mergeKey === "" ? wanted : wanted.filter((item) => !isDirective(item));
  let next = 0;
  for (const item of order) {
    if (next < items.length && keyOf(items[next], mergeKey) === keyOf(item, mergeKey)) next += 1;
  }
  if (next < items.length) {
    throw otherFault(
      `The order in patch list:\n${printGoValue(wanted)}\n doesn't match ${SET_ELEMENT_ORDER} list:\n` +
        `${printGoValue(order)}\n`,
    );
  }
}

function isDirective(item: unknown): boolean {
  if (!isObject(item)) throw badType("map", item);
  return Object.hasOwn(item, "$patch");
}
