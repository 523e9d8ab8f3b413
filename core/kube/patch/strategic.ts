/**
 * Strategic merge patch: a merge patch that knows from the schema which lists to merge by a key and which as sets, and
 * that follows directives (apimachinery `pkg/util/strategicpatch/patch.go`, as the server calls it).
 */
import {
  cloneJson,
  getJsonType,
  getMember,
  isJsonObject,
  isTooDeep,
  type JsonObject,
  printGoValue,
  setOwn,
  withoutNulls,
} from "../json_value.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { FieldType, MessageSchema } from "../schema.ts";
import {
  badDirective,
  badPatchType,
  badType,
  deleteFromList,
  elementKind,
  findListMeta,
  findObjectMeta,
  getElementKey,
  mergeList,
  noMergeKey,
  orderElements,
  otherFault,
  PatchFault,
  storedOrderAfter,
} from "./strategic_list.ts";
import { badPatch, type PatchError } from "./patch_result.ts";

const DIRECTIVE = "$patch";
const RETAIN_KEYS = "$retainKeys";
const DELETE_FROM_LIST = "$deleteFromPrimitiveList";
const SET_ELEMENT_ORDER = "$setElementOrder";

/** Applies a patch to a document of the schema and returns the new document; the inputs are not changed. */
export function applyStrategicMergePatch(
  schema: MessageSchema,
  document: unknown,
  patch: unknown,
): Result<unknown, PatchError> {
  const target = cloneJson(document);
  if (!isJsonObject(target) || !isJsonObject(patch)) return err(badPatch("invalid JSON document"));
  if (isTooDeep(patch)) return err(badPatch("exceeded max depth"));
  try {
    return ok(mergeMaps(target, cloneJson(patch) as JsonObject, schema));
  } catch (error) {
    if (error instanceof PatchFault) return err(error.patchError);
    throw error;
  }
}

/** Prints a patch for messages about its result, without nulls for members that the document does not have. */
export function printStrategicPatch(document: unknown, patch: unknown): string {
  return printGoValue(withoutUnmatchedNulls(document, patch));
}

function withoutUnmatchedNulls(stored: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const kept: JsonObject = {};
  for (const [key, value] of Object.entries(patch)) {
    const current = isJsonObject(stored) ? getMember(stored, key) : undefined;
    setOwn(
      kept,
      key,
      getJsonType(current) === getJsonType(value) ? withoutUnmatchedNulls(current, value) : withoutNulls(value),
    );
  }
  return kept;
}

/** Merges a patch into a map and changes both. */
function mergeMaps(stored: JsonObject, patch: JsonObject, type: FieldType): JsonObject {
  if (Object.hasOwn(patch, DIRECTIVE)) return applyDirective(patch);
  applyRetainKeys(stored, patch);
  applyElementOrder(stored, patch, type);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(DELETE_FROM_LIST)) deleteMember(stored, key, value, type);
    else mergeMember(stored, key, value, type);
  }
  return stored;
}

function mergeMember(stored: JsonObject, key: string, value: unknown, type: FieldType): void {
  if (value === null) {
    delete stored[key];
    return;
  }
  const current = getMember(stored, key);
  if (isJsonObject(current) && isJsonObject(value)) {
    const meta = findObjectMeta(type, key);
    setOwn(stored, key, meta.strategy === "replace" ? value : mergeMaps(current, value, meta.type));
  } else if (Array.isArray(current) && Array.isArray(value)) {
    setOwn(stored, key, mergeList(current, value, findListMeta(type, key), mergeMaps));
  } else {
    const kept = withoutDirectives(getJsonType(current) === getJsonType(value) ? value : withoutNulls(value));
    if (kept === undefined) delete stored[key];
    else setOwn(stored, key, kept);
  }
}

/** Removes values from a list of scalars (`$deleteFromPrimitiveList/<list>`). */
function deleteMember(stored: JsonObject, directive: string, value: unknown, type: FieldType): void {
  const key = parseListName(directive, DELETE_FROM_LIST);
  if (key === undefined) throw badDirective("primitive list");
  if (value === null) {
    delete stored[key];
    return;
  }
  const current = getMember(stored, key);
  if (current === undefined || getJsonType(current) !== getJsonType(value)) return;
  if (!Array.isArray(current) || !Array.isArray(value)) throw badType("list", value);
  setOwn(stored, key, deleteFromList(current, value, findListMeta(type, key), mergeMaps));
}

/** Follows `$patch` inside a map: the result is the rest of the patch, or nothing. */
function applyDirective(patch: JsonObject): JsonObject {
  const { [DIRECTIVE]: directive, ...rest } = patch;
  if (directive === "replace") return rest;
  if (directive === "delete") return {};
  throw badPatchType(directive, patch);
}

/** Removes every member that `$retainKeys` does not name; the patch may not set others. */
function applyRetainKeys(stored: JsonObject, patch: JsonObject): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return;
  const list = patch[RETAIN_KEYS];
  delete patch[RETAIN_KEYS];
  if (!Array.isArray(list)) throw badDirective("retainKeys");
  const retained = new Set<unknown>(list);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || key.startsWith(DELETE_FROM_LIST) || key.startsWith(SET_ELEMENT_ORDER)) continue;
    if (!retained.has(key)) throw badDirective("retainKeys");
  }
  for (const key of Object.keys(stored)) if (!retained.has(key)) delete stored[key];
}

/** Returns the list that a directive such as `$setElementOrder/conditions` names. */
function parseListName(directive: string, prefix: string): string | undefined {
  return directive.startsWith(`${prefix}/`) ? directive.slice(prefix.length + 1) : undefined;
}

/** Copies a value without directives; undefined if the value is a directive itself. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isJsonObject(value)) return value;
  if (Object.hasOwn(value, DIRECTIVE)) return undefined;
  const kept: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const cleaned = withoutDirectives(item);
    if (cleaned !== undefined) setOwn(kept, key, cleaned);
  }
  return kept;
}

/**
 * Merges every list whose order the patch sets (`$setElementOrder/<list>`), and removes both list and directive from
 * the patch (strategicpatch `mergePatchIntoOriginal`). Throws PatchFault.
 */
function applyElementOrder(
  stored: JsonObject,
  patch: JsonObject,
  type: FieldType,
): void {
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(SET_ELEMENT_ORDER)) continue;
    delete patch[directive];
    if (!Array.isArray(order)) throw badType("list", order);
    const key = parseListName(directive, SET_ELEMENT_ORDER);
    if (key === undefined) throw badDirective("setElementOrder list");
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

/** Checks that the order list contains the patch's elements in the same order; directives do not count. */
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
  return getMember(item, DIRECTIVE);
}
