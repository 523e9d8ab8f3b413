/** Merging lists: by merge key for maps, as sets for scalars (strategicpatch `mergeSlice`). */
import type { FieldType } from "../schema.ts";
import { elementKind, getElementKey, orderElements } from "./_element_order.ts";
import { badPatchType, noMergeKey, otherFault } from "./_fault.ts";
import { isJsonObject, type JsonObject } from "../json_value.ts";
import type { MergeMeta } from "./_merge_keys.ts";

/** Merges one map into another; handed in, since maps and lists hold each other. */
export type MergeMaps = (stored: JsonObject, patch: JsonObject, type: FieldType) => JsonObject;

/** The list after a patch. Throws PatchFault. */
export function mergeList(
  stored: readonly unknown[],
  patch: readonly unknown[],
  meta: MergeMeta,
  mergeMaps: MergeMaps,
): readonly unknown[] {
  if (meta.strategy !== "merge") return patch;
  if (stored.length === 0 && patch.length === 0) return stored;
  if (elementKind(stored, patch) === "scalar") {
    return orderElements([...new Set([...stored, ...patch])], patch, stored, meta.mergeKey);
  }
  if (meta.mergeKey === "") {
    throw otherFault(`cannot merge lists without merge key for ${meta.type.kind === "message" ? "struct" : "map"}`);
  }
  const { kept, added } = applyElementDirectives(stored as JsonObject[], patch as JsonObject[], meta.mergeKey);
  const merged = [...kept];
  const places = new Map<unknown, number>();
  kept.forEach((item, index) => {
    if (!places.has(item[meta.mergeKey])) places.set(item[meta.mergeKey], index);
  });
  for (const item of added) {
    const key = getElementKey(item, meta.mergeKey);
    const index = places.get(key) ?? merged.length;
    const current = merged[index];
    places.set(key, index);
    merged[index] = current === undefined ? item : mergeMaps(current, item, meta.type);
  }
  return orderElements(merged, added, kept, meta.mergeKey);
}

/**
 * The order of the stored list as upstream sees it after it has merged: it works in place, so that new elements stand
 * where deleted ones left room.
 */
export function storedOrderAfter(
  stored: readonly unknown[],
  patch: readonly unknown[],
  meta: MergeMeta,
): readonly unknown[] {
  if (meta.strategy !== "merge" || meta.mergeKey === "") return stored;
  const { kept, added, isReplaced } = applyElementDirectives(
    stored as JsonObject[],
    patch as JsonObject[],
    meta.mergeKey,
  );
  if (isReplaced) return stored;
  const known = new Set(kept.map((item) => item[meta.mergeKey]));
  const fresh = added.filter((item) => !known.has(item[meta.mergeKey]));
  return [...kept, ...fresh.slice(0, Math.max(0, stored.length - kept.length))];
}

/** What `$deleteFromPrimitiveList` leaves of a list. Throws PatchFault for a list of maps. */
export function deleteFromList(
  stored: readonly unknown[],
  toDelete: readonly unknown[],
  meta: MergeMeta,
  mergeMaps: MergeMaps,
): readonly unknown[] {
  if (stored.length === 0 && toDelete.length === 0) return stored;
  if (elementKind(stored, toDelete) === "map") {
    return mergeList(stored, toDelete, { ...meta, strategy: "merge" }, mergeMaps);
  }
  const gone = new Set(toDelete);
  return stored.filter((item) => !gone.has(item));
}

/** Obeys `$patch` inside elements: what remains of the stored list, and the elements that are no directives. */
function applyElementDirectives(
  stored: readonly JsonObject[],
  patch: readonly JsonObject[],
  mergeKey: string,
): { readonly kept: readonly JsonObject[]; readonly added: readonly JsonObject[]; readonly isReplaced: boolean } {
  const added: JsonObject[] = [];
  const gone = new Set<unknown>();
  let isReplaced = false;
  for (const item of patch) {
    if (!Object.hasOwn(item, "$patch")) {
      added.push(item);
      continue;
    }
    switch (item["$patch"]) {
      case "delete": {
        if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
        gone.add(item[mergeKey]);
        break;
      }
      case "replace":
        isReplaced = true;
        break;
      case "merge":
        throw otherFault("merging lists cannot yet be specified in the patch");
      default:
        throw badPatchType(item["$patch"], item);
    }
  }
  const kept = gone.size === 0 ? stored : stored.filter((item) => !isJsonObject(item) || !gone.has(item[mergeKey]));
  return isReplaced ? { kept: added, added: [], isReplaced } : { kept, added, isReplaced };
}
