/** Request bodies: reading within the limit, and decoding into canonical objects. */
import { Buffer } from "node:buffer";
import { DecodeError, decodeObject } from "../../core/kube/codec/decode.ts";
import { JsonSyntaxError } from "../../core/kube/codec/errors.ts";
import { type JsonDocument, parseJson } from "../../core/kube/codec/json_parser.ts";
import { decodeEnvelope, decodeMessage } from "../../core/kube/codec/protobuf.ts";
import { parseYaml } from "../../core/kube/codec/yaml.ts";
import { findKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { apiVersionOf, type Kind } from "../../core/kube/schema.ts";
import { badRequest, requestEntityTooLarge } from "../../core/kube/status.ts";
import type { Exchange } from "./exchange.ts";
import type { MediaType } from "./negotiation.ts";

/** 3 MiB, as kube-apiserver limits every body. */
export const MAX_BODY_BYTES = 3_145_728;

/** What happens with fields that a kind does not have, or that stand twice. */
export type FieldValidation = "Ignore" | "Warn" | "Strict";

/** Reads the whole body. Throws StatusError 413 beyond 3 MiB. */
export async function readBody(request: Request): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? "0");
  if (declared > MAX_BODY_BYTES) throw tooLarge();
  if (request.body === null) return new Uint8Array(0);
  if (declared > 0) return new Uint8Array(await request.arrayBuffer());
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Decodes a body into a canonical object of the endpoint's kind. Throws StatusError 400; unknown and duplicate fields
 * become warnings or, with `Strict`, the refusal.
 */
export function decodeBody(
  exchange: Exchange,
  kind: Kind,
  mediaType: MediaType,
  bytes: Uint8Array,
  fieldValidation: FieldValidation,
): KubeObject {
  if (mediaType === "application/vnd.kubernetes.protobuf") return decodeProtobuf(kind, bytes);
  const text = new TextDecoder().decode(bytes);
  const document = parseDocument(kind, mediaType, text, bytes);
  const value = document.value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw unrecognized(
      kind,
      "json: cannot unmarshal " + goTypeOf(value) +
        ' into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
      bytes,
    );
  }
  const named = value as Record<string, unknown>;
  assertKind(kind, textOf(named["apiVersion"]), textOf(named["kind"]));
  return decodeVersioned(kind, document, (errors) => {
    if (fieldValidation === "Warn") { for (const error of errors) exchange.warnings.add(error); }
    if (fieldValidation === "Strict") {
      throw badRequest(`${subjectOf(kind)}: strict decoding error: ${errors.join(", ")}`);
    }
  });
}

/**
 * Decodes a parsed value into a canonical object, handing unknown and duplicate fields to `onStrict`. Throws
 * StatusError 400 when types do not fit.
 */
export function decodeVersioned(
  kind: Kind,
  document: JsonDocument,
  onStrict: (errors: readonly string[]) => void,
): KubeObject {
  try {
    const { object, strictErrors } = decodeObject(kind.schema, document.value, document);
    if (strictErrors.length > 0) onStrict(strictErrors);
    return object as unknown as KubeObject;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${subjectOf(kind)}: ${error.message}`);
    throw error;
  }
}

function decodeProtobuf(kind: Kind, bytes: Uint8Array): KubeObject {
  try {
    const envelope = decodeEnvelope(bytes);
    assertKind(kind, envelope.apiVersion, envelope.kind);
    return decodeMessage(kind.schema, envelope.raw) as unknown as KubeObject;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(error.message);
    throw error;
  }
}

function parseDocument(kind: Kind, mediaType: MediaType, text: string, bytes: Uint8Array): JsonDocument {
  try {
    return mediaType === "application/yaml" ? parseYaml(text) : parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw unrecognized(kind, `json parse error: ${error.message}`, bytes);
  }
}

function unrecognized(kind: Kind, why: string, bytes: Uint8Array) {
  const prefix = why.startsWith("json parse error") ? why : `json parse error: ${why}`;
  return badRequest(
    `the object provided is unrecognized (must be of type ${kind.kind}): couldn't get version/kind; ${prefix} (${
      summarize(bytes)
    })`,
  );
}

/** The first 30 bytes, as text when the body looks like JSON, else in hexadecimal. */
function summarize(bytes: Uint8Array): string {
  if (bytes.length === 0) return "<empty>";
  const head = Buffer.from(bytes.subarray(0, 30));
  const shown = bytes[0] === 0x7b ? head.toString("utf8") : head.toString("hex");
  return bytes.length > 30 ? `${shown} ...` : shown;
}

function assertKind(kind: Kind, apiVersion: string, kindName: string): void {
  const wanted = apiVersionOf(kind);
  const version = apiVersion === "" ? wanted : apiVersion;
  const name = kindName === "" ? kind.kind : kindName;
  if (version === wanted && name === kind.kind) return;
  const [group, groupVersion] = version.includes("/") ? version.split("/", 2) : ["", version];
  const known = findKind(group ?? "", groupVersion ?? "", name) !== undefined;
  if (version !== wanted && known) {
    throw badRequest(
      `the API version in the data (${version}) does not match the expected API version (${wanted})`,
    );
  }
  const detail = known
    ? `converting (${goNameOf(version, name)}) to (${goNameOf(wanted, kind.kind)}): unknown conversion`
    : `no kind "${name}" is registered for version "${version}" in scheme "pkg/api/legacyscheme/scheme.go:30"`;
  throw badRequest(`${name} in version "${groupVersion}" cannot be handled as a ${kind.kind}: ${detail}`);
}

function goNameOf(apiVersion: string, kind: string): string {
  const version = apiVersion.slice(apiVersion.indexOf("/") + 1);
  return `${version}.${kind}`;
}

function subjectOf(kind: Kind): string {
  return `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function goTypeOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value === "boolean" ? "bool" : typeof value;
}

function tooLarge() {
  return requestEntityTooLarge(`limit is ${MAX_BODY_BYTES}`);
}
