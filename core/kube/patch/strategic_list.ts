/**
 * Merges lists: by merge key for maps, as sets for scalars (strategicpatch `mergeSlice`). In a merged list, the elements of
 * the patch have the patch's order, those that only the server has keep theirs, and the two are interleaved by the order of
 * the stored list (`normalizeElementOrder`). Faults are thrown, and `strategic.ts` converts them to values.
 */
import type { FieldSchema, FieldType } from "../schema.ts";
import { getGoType, getJsonType, isJsonObject, type JsonObject, printGoValue } from "../json_value.ts";
import { lookup } from "../../lib/record.ts";
import type { PatchError } from "./patch_result.ts";
import { goQuote, sortedKeys } from "../../lib/go_text.ts";
import { getStructName } from "../wire/message_plan.ts";
import { AppError } from "../../errors.ts";

/** Merges one map into another. The function is passed in, because maps and lists contain each other. */
type MergeMaps = (stored: JsonObject, patch: JsonObject, type: FieldType) => JsonObject;

/** Returns the list after a patch. Throws PatchFault. */
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
 * Returns the order that the stored list has in upstream after merging. Upstream merges in place, so new elements take
 * the places of deleted ones.
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

/** Removes the elements that `$deleteFromPrimitiveList` lists; lists of maps are merged instead. Throws PatchFault. */
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

/** Follows `$patch` in elements. Returns what remains of the stored list, and the elements that are not directives. */
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

/** Orders merged elements; `mergeKey` is empty for lists of scalars. Throws PatchFault. */
export function orderElements(
  merged: readonly unknown[],
  order: readonly unknown[],
  storedOrder: readonly unknown[],
  mergeKey: string,
): unknown[] {
  const inOrder = new Set(order.map((item) => getElementKey(item, mergeKey)));
  const named = merged.filter((item) => inOrder.has(getElementKey(item, mergeKey)));
  const serverOnly = merged.filter((item) => !inOrder.has(getElementKey(item, mergeKey)));
  return interleave(
    sortBy(serverOnly, storedOrder, mergeKey),
    sortBy(named, order, mergeKey),
    positions(storedOrder, mergeKey),
    mergeKey,
  );
}

/** Returns the value that identifies an element. Throws PatchFault if a map lacks the merge key. */
export function getElementKey(item: unknown, mergeKey: string): unknown {
  if (mergeKey === "") return item;
  if (!isJsonObject(item)) throw badType("map", item);
  if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
  return item[mergeKey];
}

/** Reports whether all elements are maps or scalars of one type. Throws PatchFault for anything else. */
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
  // Upstream treats an element without a place as smaller than any other and sorts by insertion. Only the same
  // algorithm produces the same order.
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

/** The size of the blocks that Go sorts by insertion. */
const MAX_INSERTION = 20;

/** Inserts each server-only element before the first named element that follows it in the stored list. */
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

/** The merge rules of a field, and the type of its value or its elements. */
interface MergeMeta {
  /** One of `merge`, `replace` and the empty string. */
  readonly strategy: string;
  readonly mergeKey: string;
  readonly type: FieldType;
}

/**
 * Finds the merge rules of a field that contains an object. Throws PatchFault if the schema does not have the field.
 */
export function findObjectMeta(parent: FieldType, key: string): MergeMeta {
  const field = findField(parent, key);
  return { strategy: getStrategy(field), mergeKey: field.patchMergeKey ?? "", type: field.type };
}

/** Finds the merge rules of a field that contains a list; `type` is the type of its elements. Throws PatchFault. */
export function findListMeta(parent: FieldType, key: string): MergeMeta {
  const meta = findObjectMeta(parent, key);
  if (meta.type.kind !== "list") throw otherFault("expected slice or array type, but got: struct");
  if (meta.type.of.kind === "list") throw otherFault("unexpected slice of slice");
  return { ...meta, type: meta.type.of };
}

function findField(parent: FieldType, key: string): FieldSchema {
  if (parent.kind !== "message") {
    const kind = parent.kind === "list" ? "slice" : parent.kind;
    throw otherFault(`merging an object in json but data type is not struct, instead is: ${kind}`);
  }
  const field = lookup(parent.fields, key);
  if (field !== undefined) return field;
  throw otherFault(`unable to find api field in struct ${getStructName(parent)} for the json field ${goQuote(key)}`);
}

/** Returns the merge strategy of a field, without `retainKeys`, which only matters for creating patches. */
function getStrategy(field: FieldSchema): string {
  return (field.patchStrategy ?? "").split(",").find((item) => item !== "retainKeys") ?? "";
}

/** Ends a strategic merge. It is caught within this folder. */
export class PatchFault extends AppError {
  readonly patchError: PatchError;

  constructor(patchError: PatchError) {
    super("invalid", patchError.message);
    this.patchError = patchError;
  }
}

/** Creates the error of a malformed directive, which is answered with 400. */
export function badDirective(name: "primitive list" | "retainKeys" | "setElementOrder list"): PatchFault {
  return new PatchFault({ kind: "badRequest", message: `invalid patch format of ${name}` });
}

/** Creates the error of a list of lists, which cannot be merged and is answered with 422. */
function listOfLists(): PatchFault {
  return new PatchFault({ kind: "unprocessable", message: "lists of lists are not supported" });
}

/** Creates an error that has no type upstream and is answered with 500. */
export function otherFault(message: string): PatchFault {
  return new PatchFault({ kind: "internal", message });
}

/** Creates the error of a list element that lacks the merge key. */
export function noMergeKey(element: unknown, mergeKey: string): PatchFault {
  return otherFault(`map: ${printGoValue(element)} does not contain declared merge key: ${mergeKey}`);
}

/** Creates the error of a value whose type does not fit the directive. */
export function badType(expected: "list" | "map", value: unknown): PatchFault {
  return otherFault(`expected a ${getGoType(expected === "list" ? [] : {})}, but received a ${getGoType(value)}`);
}

/** Creates the error of an unknown `$patch` directive. */
export function badPatchType(directive: unknown, map: unknown): PatchFault {
  return otherFault(`unknown patch type: ${printAsText(directive)} in map: ${printGoValue(map)}`);
}

/** Prints a value as `fmt.Sprintf("%s")` does, which marks values that are not text. */
function printAsText(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return `[${value.map(printAsText).join(" ")}]`;
  if (isJsonObject(value)) {
    return `map[${sortedKeys(value).map((key) => `${key}:${printAsText(value[key])}`).join(" ")}]`;
  }
  const type = getGoType(value);
  return value === null ? type : `%!s(${type}=${printGoValue(value)})`;
}
