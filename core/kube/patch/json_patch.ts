/**
 * JSON patch and JSON merge patch (RFC 7386) as kube-apiserver applies them (evanphx/json-patch v4). JSON patch is more
 * lenient than RFC 6902: `replace` sets a member that is missing, negative indices count from the end, and `test` of a
 * missing member against null holds. The npm packages refuse these, so tlsboot has its own implementation.
 */
import {
  cloneJson,
  findInfinite,
  getMember,
  goJsonType,
  isEqualJson,
  isJsonObject,
  isTooDeep,
  type JsonObject,
  setOwn,
  withoutNulls,
} from "../json_value.ts";
import { goQuote, marshalJson } from "../../lib/go_text.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { addObjects, badPatch, type PatchedDocument, type PatchError, unfitPatch } from "./patch_result.ts";

/** The largest number of operations in one patch (`apiserver/pkg/endpoints/handlers/patch.go`). */
const MAX_JSON_PATCH_OPERATIONS = 10_000;
/** The largest number of bytes that `copy` may add in one patch (kube-apiserver's `JSONPatchMaxCopyBytes`). */
const MAX_COPY_BYTES = 3 * 1024 * 1024;

const OPERATION_FIELDS: readonly string[] = ["op", "path", "from", "value"];
const TEXT_FIELDS: readonly string[] = ["op", "path", "from"];

/**
 * Applies a patch to a document and returns the new document; the inputs are not changed.
 *
 * @param isValidated whether the operations are decoded into their types first (`fieldValidation` other than `Ignore`)
 */
export function applyJsonPatch(
  document: unknown,
  patch: unknown,
  isValidated = true,
): Result<PatchedDocument, PatchError> {
  if (isTooDeep(patch)) return err(badPatch("error decoding patch: exceeded max depth"));
  const fault = isValidated ? findShapeFault(patch) : findRawShapeFault(patch);
  if (fault !== undefined) return err(badPatch(fault));
  const operations = patch as readonly (JsonObject | null)[];
  if (operations.length > MAX_JSON_PATCH_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${MAX_JSON_PATCH_OPERATIONS}, ` +
      `got ${operations.length}`;
    return err({ kind: "tooLarge", message });
  }
  const work: Work = { root: cloneJson(document), copiedBytes: 0, sorted: new Set() };
  for (const operation of operations) {
    const failed = applyOperation(work, operation ?? {});
    if (failed !== undefined) return err(unfitPatch(failed));
  }
  return isTooDeep(work.root) ? err(unfitPatch("exceeded max depth")) : ok({ value: work.root, sorted: work.sorted });
}

/** Finds members that no operation has and reports them as strict decoding does: `json patch unknown field "[0].foo"`. */
export function findUnknownOperationFields(patch: unknown): readonly string[] {
  if (!Array.isArray(patch)) return [];
  return patch.flatMap((operation, index) =>
    Object.keys(isJsonObject(operation) ? operation : {}).filter((key) => !OPERATION_FIELDS.includes(key))
      .map((key) => `json patch unknown field ${goQuote(`[${index}].${key}`)}`)
  );
}

/** The document that is being patched; `root` may be changed. */
interface Work {
  root: unknown;
  copiedBytes: number;
  /** The objects that an operation has read. */
  readonly sorted: Set<object>;
}

/** The target of a pointer: a container and a key in it. */
type Place =
  | { readonly kind: "member"; readonly object: JsonObject; readonly key: string }
  | { readonly kind: "item"; readonly list: unknown[]; readonly key: string };

/** Finds the first fault in decoding a patch into typed operations, with Go's message. */
function findShapeFault(patch: unknown): string | undefined {
  const wrong = "error decoding patch: json: cannot unmarshal";
  if (!Array.isArray(patch)) return `${wrong} ${goJsonType(patch)} into Go value of type []handlers.jsonPatchOp`;
  for (const operation of patch) {
    if (operation === null) continue;
    if (!isJsonObject(operation)) return `${wrong} ${goJsonType(operation)} into Go value of type handlers.jsonPatchOp`;
    for (const [field, value] of Object.entries(operation)) {
      const place = `into Go struct field jsonPatchOp.${field}`;
      if (field === "value") {
        const infinite = findInfinite(value);
        if (infinite !== undefined) return `${wrong} number ${infinite} ${place} of type float64`;
      } else if (TEXT_FIELDS.includes(field) && typeof (value ?? "") !== "string") {
        return `${wrong} ${goJsonType(value)} ${place} of type string`;
      }
    }
  }
  return undefined;
}

/** Finds the first fault in decoding a patch whose operations are not typed. */
function findRawShapeFault(patch: unknown): string | undefined {
  const wrong = "json: cannot unmarshal";
  if (!Array.isArray(patch)) return `${wrong} ${goJsonType(patch)} into Go value of type jsonpatch.Patch`;
  const odd: unknown = patch.find((operation) => operation !== null && !isJsonObject(operation));
  return odd === undefined ? undefined : `${wrong} ${goJsonType(odd)} into Go value of type jsonpatch.Operation`;
}

/** Performs an operation. Returns why it failed, or undefined. */
function applyOperation(work: Work, operation: JsonObject): string | undefined {
  const kind = getMember(operation, "op");
  switch (kind) {
    case "add":
      return withPlace(work, operation, "add", "path", (place) => insert(place, getValue(operation)));
    case "remove":
      return withPlace(work, operation, "remove", "path", remove);
    case "replace":
      return replace(work, operation);
    case "move":
      return move(work, operation);
    case "copy":
      return copy(work, operation);
    case "test":
      return test(work, operation);
    default:
      return `Unexpected kind: ${typeof kind === "string" ? kind : "unknown"}`;
  }
}

function replace(work: Work, operation: JsonObject): string | undefined {
  if (getMember(operation, "path") === "") {
    const value = getValue(operation);
    if (isJsonObject(value)) work.sorted.add(value);
    else if (!Array.isArray(value)) return "replace operation value must be object or array";
    work.root = value;
    return undefined;
  }
  return withPlace(work, operation, "replace", "path", (place) => {
    if (place.kind === "member") {
      setOwn(place.object, place.key, getValue(operation));
      return undefined;
    }
    const index = findIndex(place, 0);
    if (index === undefined) return "replace operation does not apply: doc is missing key";
    place.list[index] = getValue(operation);
    return undefined;
  });
}

function move(work: Work, operation: JsonObject): string | undefined {
  return withPlace(work, operation, "move", "from", (from) => {
    const value = read(from);
    if (!value.ok) return value.error;
    return remove(from) ?? withPlace(work, operation, "move", "path", (to) => insert(to, value.value));
  });
}

function copy(work: Work, operation: JsonObject): string | undefined {
  return withPlace(work, operation, "copy", "from", (from) => {
    const value = read(from);
    if (!value.ok) return value.error;
    return withPlace(work, operation, "copy", "path", (to) => {
      work.copiedBytes += marshalJson(value.value).length;
      if (work.copiedBytes > MAX_COPY_BYTES) {
        return "unable to complete the copy, the accumulated size increase is too large";
      }
      return insert(to, cloneJson(value.value));
    });
  });
}

function test(work: Work, operation: JsonObject): string | undefined {
  const path = getMember(operation, "path");
  const failed = `testing value ${String(path)} failed`;
  if (path === "") {
    addObjects(work.root, work.sorted);
    return isEqualJson(work.root, getValue(operation)) ? undefined : failed;
  }
  return withPlace(work, operation, "test", "path", (place) => {
    const value = read(place);
    if (!value.ok) return value.error;
    addObjects(value.value, work.sorted);
    return isEqualJson(value.value, getValue(operation)) ? undefined : failed;
  });
}

function getValue(operation: JsonObject): unknown {
  return cloneJson(getMember(operation, "value") ?? null);
}

function withPlace(
  work: Work,
  operation: JsonObject,
  name: string,
  field: "path" | "from",
  act: (place: Place) => string | undefined,
): string | undefined {
  const pointer = getMember(operation, field);
  if (typeof pointer !== "string") return `${name} operation failed to decode ${field}`;
  const place = findPlace(work, pointer);
  return place === undefined ? `${name} operation does not apply: doc is missing path: ${pointer}` : act(place);
}

/** Follows a JSON pointer up to its last step; undefined if a step before it is missing. */
function findPlace({ root, sorted }: Work, pointer: string): Place | undefined {
  const steps = pointer.split("/").slice(1).map(decodeStep);
  const key = steps.pop();
  if (key === undefined) return undefined;
  let current = root;
  for (const step of steps) {
    const place = placeIn(current, step, sorted);
    const next = place === undefined ? undefined : read(place);
    if (next === undefined || !next.ok) return undefined;
    current = next.value;
  }
  return placeIn(current, key, sorted);
}

function placeIn(container: unknown, key: string, sorted: Set<object>): Place | undefined {
  if (Array.isArray(container)) return { kind: "item", list: container, key };
  if (!isJsonObject(container)) return undefined;
  sorted.add(container);
  return { kind: "member", object: container, key };
}

/** Decodes a step of a pointer: `~1` is a slash, `~0` a tilde (RFC 6901 section 4). */
function decodeStep(step: string): string {
  return step.replace(/~[01]/g, (escape) => (escape === "~1" ? "/" : "~"));
}

/** Reads the value at a place; a missing member is null. */
function read(place: Place): Result<unknown, string> {
  if (place.kind === "member") return ok(getMember(place.object, place.key) ?? null);
  const index = findIndex(place, 0);
  return index === undefined ? err(`Unable to access invalid index: ${place.key}`) : ok(place.list[index]);
}

function insert(place: Place, value: unknown): string | undefined {
  if (place.kind === "member") setOwn(place.object, place.key, value);
  else if (place.key === "-") place.list.push(value);
  else {
    const index = findIndex(place, 1);
    if (index === undefined) return `Unable to access invalid index: ${place.key}`;
    place.list.splice(index, 0, value);
  }
  return undefined;
}

function remove(place: Place): string | undefined {
  if (place.kind === "member") {
    if (!Object.hasOwn(place.object, place.key)) return `Unable to remove nonexistent key: ${place.key}`;
    delete place.object[place.key];
    return undefined;
  }
  const index = findIndex(place, 0);
  if (index === undefined) return `Unable to access invalid index: ${place.key}`;
  place.list.splice(index, 1);
  return undefined;
}

/** Parses an index of a list. Negative ones count from the end; with `extra` 1, the index after the last is valid too. */
function findIndex(place: { readonly list: unknown[]; readonly key: string }, extra: 0 | 1): number | undefined {
  if (!/^[+-]?\d{1,15}$/.test(place.key)) return undefined;
  const size = place.list.length + extra;
  const index = Number(place.key);
  const found = index < 0 ? index + size : index;
  return found >= 0 && found < size ? found : undefined;
}

/** Applies a patch to a document and returns the new document; the inputs are not changed. */
export function applyMergePatch(document: unknown, patch: unknown): Result<PatchedDocument, PatchError> {
  if (!Array.isArray(patch) && !isJsonObject(patch)) return err(badPatch("Invalid JSON Patch"));
  if (isTooDeep(patch)) return err(badPatch("error decoding patch: exceeded max depth"));
  const target = cloneJson(document);
  const changes = cloneJson(patch);
  const sorted = new Set<object>();
  if (!isJsonObject(target) || !isJsonObject(changes)) return ok({ value: pruned(changes, sorted), sorted });
  mergeObjects(target, changes, sorted);
  return ok({ value: target, sorted });
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
