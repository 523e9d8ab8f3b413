/** Patch bodies: their types, and their application to the versioned JSON of a stored object. */
import { type DecodedObject, DecodeError, decodeObject } from "../../core/kube/wire/decode.ts";
import { encodeObject } from "../../core/kube/wire/encode.ts";
import {
  assertPatchedElements,
  ElementBudget,
  MAX_ELEMENTS,
  MAX_JSON_PATCH_ELEMENTS,
} from "../../core/kube/wire/element_budget.ts";
import { goJsonType, JsonSyntaxError } from "../../core/kube/wire/errors.ts";
import { goQuote, marshalJson } from "../../core/lib/quote.ts";
import { findObjectFault } from "../../core/kube/wire/unstructured.ts";
import { compareBytes } from "../../core/lib/byte_order.ts";
import { type JsonDocument, parseJson } from "../../core/kube/wire/json_parser.ts";
import { findInfinite, isJsonObject, type JsonObject, toExactValue } from "../../core/kube/json_value.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { applyJsonPatch, findUnknownOperationFields } from "../../core/kube/patch/json_patch.ts";
import { applyMergePatch } from "../../core/kube/patch/merge_patch.ts";
import {
  badPatch,
  type PatchedDocument,
  type PatchError,
  type PatchType,
  sortInGoOrder,
} from "../../core/kube/patch/patch_result.ts";
import { applyStrategicMergePatch, printStrategicPatch } from "../../core/kube/patch/strategic.ts";
import { formatApiVersion, type Kind } from "../../core/kube/schema.ts";
import { badRequest, invalidPatchedObject, patchFailure } from "../../core/kube/status/status.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import {
  decodeAsNamed,
  type FieldValidation,
  formatVersionedGoType,
  readTypedDocument,
  withDefaultNames,
} from "./body.ts";
import { toWire } from "./respond.ts";
import type { Exchange } from "./exchange.ts";
import { formatGoType, formatUnknownInternalKind, formatUnknownKind, isKnownKind } from "./known_kinds.ts";

type DocumentPatch = Exclude<PatchType, "apply">;

/** Parses a patch. Throws StatusError 400 when it is not JSON; its shape is checked after the object was read. */
export function readPatch(type: DocumentPatch, bytes: Uint8Array): JsonDocument {
  try {
    return parseJson(bytes, new ElementBudget(type === "json" ? MAX_JSON_PATCH_ELEMENTS : MAX_ELEMENTS));
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw badRequest("invalid JSON patch");
    throw error;
  }
}

/** Applies a patch, and returns the decoded, canonical object. Throws StatusError 400, 413 or 422. */
export function applyPatch(
  exchange: Exchange,
  kind: Kind,
  type: DocumentPatch,
  stored: KubeObject,
  patch: JsonDocument,
  fieldValidation: FieldValidation,
): KubeObject {
  const versioned = encodeObject(toWire(kind), stored);
  const sent = toExactValue(patch);
  const applied = applyDocument(type, kind, versioned, sent, fieldValidation !== "Ignore");
  if (!applied.ok) throw patchFailure(applied.error);
  assertPatchedElements(applied.value.value, versioned);
  const isStrategic = type === "strategic";
  const patched = isStrategic ? applied.value.value : sortInGoOrder(applied.value);

  const refuse = (detail: string): never => {
    const shown = isStrategic ? printStrategicPatch(versioned, sent) : marshalJson(patched);
    throw invalidPatchedObject(shown, detail);
  };
  try {
    const fault = isStrategic ? findObjectFault(kind.schema, patched) : findPatchedKindFault(kind, patched);
    if (fault !== undefined) refuse(fault);
    const decoded = isStrategic || !isUnversioned(patched)
      ? decodeObject(kind.schema, patched, { isUnstructured: isStrategic })
      : decodeInternal(kind, patched);
    const strictErrors = [
      ...findStrictErrors(type, patch),
      // A strategic merge patch is decoded from Go maps, which have no order, so its faults are sorted.
      ...(isStrategic ? [...decoded.strictErrors].sort(compareBytes) : decoded.strictErrors),
    ];
    if (fieldValidation === "Strict" && strictErrors.length > 0) {
      refuse(`strict decoding error: ${strictErrors.join(", ")}`);
    }
    if (fieldValidation === "Warn") exchange.warnings.addStrict(strictErrors);
    return decoded.object;
  } catch (error) {
    if (error instanceof DecodeError) return refuse(error.message);
    throw error;
  }
}

/** Applies a patch of any shape. A validated patch is first decoded into Go types, whose faults are reported first. */
function applyDocument(
  type: DocumentPatch,
  kind: Kind,
  versioned: object,
  patch: unknown,
  isValidated: boolean,
): Result<PatchedDocument, PatchError> {
  const isMap = patch === null || isJsonObject(patch);
  const infinite = isValidated || type === "strategic" ? findInfinite(patch) : undefined;
  if (type !== "json" && isMap && infinite !== undefined) {
    const prefix = type === "merge" ? "error decoding patch: " : "";
    return err(badPatch(`${prefix}json: cannot unmarshal number ${infinite} into Go value of type float64`));
  }
  switch (type) {
    case "json":
      return applyJsonPatch(versioned, patch ?? [], isValidated);
    case "merge":
      return isMap || !isValidated
        ? applyMergePatch(versioned, patch)
        : err(badPatch(`error decoding patch: ${formatNoMap(patch)}`));
    case "strategic":
      return isMap ? applyStrategic(kind, versioned, patch ?? {}) : err(badPatch(formatNoMap(patch)));
  }
}

function applyStrategic(kind: Kind, versioned: object, patch: unknown): Result<PatchedDocument, PatchError> {
  const applied = applyStrategicMergePatch(kind.schema, versioned, patch);
  return applied.ok ? ok({ value: applied.value, sorted: new Set() }) : applied;
}

function formatNoMap(value: unknown): string {
  return `json: cannot unmarshal ${goJsonType(value)} into Go value of type map[string]interface {}`;
}

/** Whether a patched object has no version, so that it is decoded into the internal type. */
function isUnversioned(patched: unknown): boolean {
  return isJsonObject(patched) && (patched["apiVersion"] ?? "") === "";
}

/** The internal Go type has no JSON names, so every member is an unknown field and the object stays empty. */
function decodeInternal(kind: Kind, patched: unknown): DecodedObject<KubeObject> {
  const names = Object.keys(patched as JsonObject).filter((name) => name !== "kind" && name !== "apiVersion");
  const { object } = decodeObject(kind.schema, {});
  return {
    object: object as DecodedObject<KubeObject>["object"],
    strictErrors: names.map((name) => `unknown field ${goQuote(name)}`),
  };
}

function findStrictErrors(type: DocumentPatch, patch: JsonDocument): readonly string[] {
  const prefix = type === "json" ? "json patch " : "";
  return [
    ...patch.duplicates.map((path) => `${prefix}duplicate field ${goQuote(path)}`),
    ...(type === "json" ? findUnknownOperationFields(patch.value) : []),
  ];
}

/** Finds a change of the object's kind, which is a fault. Throws DecodeError when the new kind cannot be decoded. */
function findPatchedKindFault(kind: Kind, patched: unknown): string | undefined {
  const typed = readTypedDocument({ value: patched, duplicates: [] });
  if (!typed.ok) return typed.error;
  const names = withDefaultNames(typed.value, kind);
  const apiVersion = formatApiVersion(names);
  if (apiVersion === formatApiVersion(kind) && names.kind === kind.kind) return undefined;
  if (!isKnownKind(apiVersion, names.kind)) {
    return isUnversioned(patched)
      ? formatUnknownInternalKind(kind.group, names.kind)
      : formatUnknownKind(apiVersion, names.kind);
  }
  decodeAsNamed(names, typed.value);
  return `converting (${formatVersionedGoType(names)}) to (${formatGoType(kind)}): unknown conversion`;
}
