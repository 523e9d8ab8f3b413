/** Patch bodies: their types, and applying one to the versioned JSON of a stored object. */
import { DecodeError, decodeObject } from "../../core/kube/codec/decode.ts";
import { encodeObject } from "../../core/kube/codec/encode.ts";
import { JsonSyntaxError } from "../../core/kube/codec/errors.ts";
import { type JsonDocument, parseJson } from "../../core/kube/codec/json_parser.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { applyJsonPatch } from "../../core/kube/patch/json_patch.ts";
import { applyMergePatch } from "../../core/kube/patch/merge_patch.ts";
import { applyStrategicMergePatch } from "../../core/kube/patch/strategic.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { badRequest, invalidPatchedObject, patchFailure, unsupportedMediaType } from "../../core/kube/status.ts";
import type { FieldValidation } from "./body.ts";
import { wireOf } from "./encoding.ts";
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
  const { value } = document;
  const fits = type === "json"
    ? Array.isArray(value)
    : typeof value === "object" && value !== null && !Array.isArray(value);
  if (!fits) {
    const got = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
    const want = type === "json" ? "jsonpatch.Patch" : "map[string]interface {}";
    throw badRequest(`error decoding patch: json: cannot unmarshal ${got} into Go value of type ${want}`);
  }
  return document;
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
    throw invalidPatchedObject(JSON.stringify(applied.value), detail);
  };
  try {
    const decoded = decodeObject(kind.schema, applied.value, { duplicates: patch.duplicates });
    if (decoded.strictErrors.length > 0) {
      if (fieldValidation === "Strict") refuse(`strict decoding error: ${decoded.strictErrors.join(", ")}`);
      if (fieldValidation === "Warn") { for (const error of decoded.strictErrors) exchange.warnings.add(error); }
    }
    return decoded.object as unknown as KubeObject;
  } catch (error) {
    if (error instanceof DecodeError) return refuse(error.message);
    throw error;
  }
}
