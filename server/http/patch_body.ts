/** Patch bodies: their types, and applying one to the versioned JSON of a stored object. */
import { DecodeError, decodeObject } from "../../core/kube/codec/decode.ts";
import { encodeObject } from "../../core/kube/codec/encode.ts";
import { JsonSyntaxError } from "../../core/kube/codec/errors.ts";
import { type JsonDocument, parseJson } from "../../core/kube/codec/json_parser.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { applyJsonPatch, findUnknownOperationFields } from "../../core/kube/patch/json_patch.ts";
import { applyMergePatch } from "../../core/kube/patch/merge_patch.ts";
import { applyStrategicMergePatch } from "../../core/kube/patch/strategic.ts";
import { marshalJson } from "../../core/kube/quote.ts";
import { apiVersionOf, type Kind } from "../../core/kube/schema.ts";
import { badRequest, invalidPatchedObject, patchFailure, unsupportedMediaType } from "../../core/kube/status.ts";
import type { FieldValidation } from "./body.ts";
import { wireOf } from "./encoding.ts";
import { noKindText } from "./go_names.ts";
import type { Exchange } from "./exchange.ts";

/** The patch types that are applied here. */
export type PatchType = "json" | "merge" | "strategic";

const TYPE_OF: Readonly<Record<string, PatchType>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
};

/** Reads the Content-Type of a patch. Throws StatusError 415; server-side apply is not served. */
export function parsePatchType(contentType: string | undefined): PatchType {
  const name = (contentType ?? "").split(";")[0]!.trim().toLowerCase();
  const type = TYPE_OF[name];
  if (type === undefined) throw unsupportedMediaType(Object.keys(TYPE_OF));
  return type;
}

/** Parses a patch. Throws StatusError 400 when it is no JSON, or not of the type's shape. */
export function readPatch(type: PatchType, bytes: Uint8Array): JsonDocument {
  let document: JsonDocument;
  try {
    document = parseJson(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw badRequest("invalid JSON patch");
    throw error;
  }
  // Go decodes `null` into an empty patch; a merge patch must be more.
  if (document.value === null && type !== "merge") return { ...document, value: type === "json" ? [] : {} };
  const fault = type === "json" ? undefined : findShapeFault(type, document.value);
  if (fault !== undefined) throw badRequest(fault);
  return document;
}

function findShapeFault(type: PatchType, value: unknown): string | undefined {
  if (value === null) return "Invalid JSON Patch";
  const got = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  if (got === "object") return undefined;
  const fault = `json: cannot unmarshal ${got} into Go value of type map[string]interface {}`;
  return type === "merge" ? `error decoding patch: ${fault}` : fault;
}

/** The patched object, decoded and canonical. Throws StatusError 400, 413 or 422. */
export function applyPatch(
  exchange: Exchange,
  kind: Kind,
  type: PatchType,
  stored: KubeObject,
  patch: JsonDocument,
  fieldValidation: FieldValidation,
): KubeObject {
  const versioned = encodeObject(wireOf(kind), stored);
  const applied = type === "json"
    ? applyJsonPatch(versioned, patch.value)
    : type === "merge"
    ? applyMergePatch(versioned, patch.value)
    : applyStrategicMergePatch(kind.schema, versioned, patch.value);
  if (!applied.ok) throw patchFailure(applied.error);

  const refuse = (detail: string): never => {
    throw invalidPatchedObject(marshalJson(inGoOrder(applied.value, versioned)), detail);
  };
  const fault = findNameFault(kind, applied.value);
  if (fault !== undefined) refuse(fault);
  try {
    const decoded = decodeObject(kind.schema, applied.value, { duplicates: patch.duplicates });
    const unknown = type === "json" ? findUnknownOperationFields(patch.value) : [];
    const strictErrors = [...unknown, ...decoded.strictErrors];
    if (strictErrors.length > 0) {
      if (fieldValidation === "Strict") refuse(`strict decoding error: ${strictErrors.join(", ")}`);
      if (fieldValidation === "Warn") { for (const error of strictErrors) exchange.warnings.add(error); }
    }
    return decoded.object as unknown as KubeObject;
  } catch (error) {
    if (error instanceof DecodeError) return refuse(error.message);
    throw error;
  }
}

/** A patch may not make another kind of the object. */
function findNameFault(kind: Kind, patched: unknown): string | undefined {
  if (typeof patched !== "object" || patched === null) return undefined;
  const { apiVersion, kind: name } = { apiVersion: apiVersionOf(kind), kind: kind.kind, ...patched };
  if (apiVersion === apiVersionOf(kind) && name === kind.kind) return undefined;
  return noKindText(String(apiVersion), String(name));
}

/** What a patch has touched comes out of Go with its members sorted; the rest stays as it was. */
function inGoOrder(value: unknown, original: unknown, isRoot = true): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (!isRoot && JSON.stringify(value) === JSON.stringify(original)) return value;
  const before = (original ?? {}) as Record<string, unknown>;
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, member]) => [key, inGoOrder(member, before[key], false)]));
}
