/** `$setElementOrder/<list>`: the order that a merged list shall have (strategicpatch `mergePatchIntoOriginal`). */
import { setOwn } from "../codec/json_parser.ts";
import type { FieldType } from "../schema.ts";
import { elementKind, getElementKey, orderElements } from "./_element_order.ts";
import { badDirective, badType, noMergeKey, otherFault } from "./_fault.ts";
import { getMember, isJsonObject, type JsonObject } from "../json_value.ts";
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
    if (elementKind(current ?? [], wanted ?? []) === "map" && meta.mergeKey === "") {
      throw noMergeKey((current ?? wanted)?.[0], "");
    }
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

/** The patch's elements must stand in the order list, in the same order; directives do not count. */
function assertConsistent(wanted: unknown[] | undefined, order: unknown[], mergeKey: string): void {
  if (wanted === undefined || wanted.length === 0 || order.length === 0) return;
  const items = mergeKey === "" ? wanted : wanted.filter((item) => findDirective(item) !== "delete");
  let next = 0;
  let at = 0;
  while (next < items.length && at < order.length) {
    if (mergeKey !== "" && findDirective(items[next]) !== undefined) {
      next += 1;
      continue;
    }
    if (getElementKey(items[next], mergeKey) === getElementKey(order[at], mergeKey)) next += 1;
    at += 1;
  }
  if (next < items.length) {
    throw otherFault(
      `The order in patch list:\n${printGoValue(wanted)}\n doesn't match ${SET_ELEMENT_ORDER} list:\n` +
        `${printGoValue(order)}\n`,
    );
  }
}

function findDirective(item: unknown): unknown {
  if (!isJsonObject(item)) throw badType("map", item);
  return getMember(item, "$patch");
}
