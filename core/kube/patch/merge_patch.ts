/** JSON merge patch (RFC 7386) as kube-apiserver applies it (evanphx/json-patch v4 `merge.go`). */
import { setOwn } from "../codec/json_parser.ts";
import { err, ok, type Result } from "../../result.ts";
import { cloneJson, getMember, isJsonObject, isTooDeep, type JsonObject, withoutNulls } from "../json_value.ts";
import { badPatch, type PatchError } from "./patch_error.ts";

/** Applies a patch to a document and answers the new document; the inputs stay as they are. */
export function applyMergePatch(document: unknown, patch: unknown): Result<unknown, PatchError> {
  if (typeof patch !== "object" || patch === null) return err(badPatch("Invalid JSON Patch"));
  if (isTooDeep(patch)) return err(badPatch("error decoding patch: exceeded max depth"));
  const ours = cloneJson(document);
  const theirs = cloneJson(patch);
  if (!isJsonObject(ours) || !isJsonObject(theirs)) return ok(withoutNulls(theirs));
  mergeObjects(ours, theirs);
  return ok(ours);
}

function mergeObjects(target: JsonObject, patch: JsonObject): void {
  for (const [key, value] of Object.entries(patch)) {
    const current = getMember(target, key);
    if (value === null) delete target[key];
    else if (isJsonObject(current) && isJsonObject(value)) mergeObjects(current, value);
    // A list that replaces an object keeps nulls of its elements' members; elsewhere they mean "absent".
    else setOwn(target, key, isJsonObject(current) ? value : withoutNulls(value));
  }
}
