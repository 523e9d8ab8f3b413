/** JSON merge patch (RFC 7386) as kube-apiserver applies it (evanphx/json-patch v4 `merge.go`). */
import { setOwn } from "../wire/json_parser.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { cloneJson, getMember, isJsonObject, isTooDeep, type JsonObject, withoutNulls } from "../json_value.ts";
import { addObjects, badPatch, type PatchedDocument, type PatchError } from "./patch_result.ts";

/** Applies a patch to a document and returns the new document; the inputs are not changed. */
export function applyMergePatch(document: unknown, patch: unknown): Result<PatchedDocument, PatchError> {
  if (!Array.isArray(patch) && !isJsonObject(patch)) return err(badPatch("Invalid JSON Patch"));
  if (isTooDeep(patch)) return err(badPatch("error decoding patch: exceeded max depth"));
  const ours = cloneJson(document);
  const theirs = cloneJson(patch);
  const sorted = new Set<object>();
  if (!isJsonObject(ours) || !isJsonObject(theirs)) return ok({ value: pruned(theirs, sorted), sorted });
  mergeObjects(ours, theirs, sorted);
  return ok({ value: ours, sorted });
}

function mergeObjects(target: JsonObject, patch: JsonObject, sorted: Set<object>): void {
  sorted.add(target);
  for (const [key, value] of Object.entries(patch)) {
    const current = getMember(target, key);
    if (value === null) delete target[key];
    else if (isJsonObject(current) && isJsonObject(value)) mergeObjects(current, value, sorted);
    // A list that replaces an object keeps the null members of its elements; elsewhere null means "absent".
    else setOwn(target, key, isJsonObject(current) ? value : pruned(value, sorted));
  }
}

/** Removes null members, and marks every object in the value as read. */
function pruned(value: unknown, sorted: Set<object>): unknown {
  const kept = withoutNulls(value);
  addObjects(kept, sorted);
  return kept;
}
