/** Request bodies: reading within the limit, and decoding into canonical objects. */
import { Buffer } from "node:buffer";
import { DecodeError, decodeObject } from "../../core/kube/codec/decode.ts";
import { JsonSyntaxError } from "../../core/kube/codec/errors.ts";
import { type JsonDocument, parseJson } from "../../core/kube/codec/json_parser.ts";
import { decodeEnvelope, decodeMessage } from "../../core/kube/codec/protobuf.ts";
import { parseYaml } from "../../core/kube/codec/yaml.ts";
import { ALL_KINDS } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { apiVersionOf, type Kind } from "../../core/kube/schema.ts";
import { badRequest, requestEntityTooLarge } from "../../core/kube/status.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Exchange } from "./exchange.ts";
import { goTypeOf, noKindText } from "./go_names.ts";
import type { MediaType } from "./negotiation.ts";

/** 3 MiB, as kube-apiserver limits every body. */
export const MAX_BODY_BYTES = 3_145_728;

/** What happens with fields that a kind does not have, or that stand twice. */
export type FieldValidation = "Ignore" | "Warn" | "Strict";

/** So much more is read and thrown away, so that a client that only writes gets to read its 413. */
const MAX_DRAINED_BYTES = 8 * MAX_BODY_BYTES;

/** Reads the whole body. Throws StatusError 413 beyond 3 MiB. */
export async function readBody(request: Request): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? "0");
  if (declared > MAX_DRAINED_BYTES) throw tooLarge();
  if (request.body === null) return new Uint8Array(0);
  if (declared > 0 && declared <= MAX_BODY_BYTES) return new Uint8Array(await request.arrayBuffer());
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    if (length > MAX_DRAINED_BYTES) break;
  }
  if (length > MAX_BODY_BYTES) throw tooLarge();
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
  const read = readTyped(mediaType, bytes);
  if (!read.ok) {
    const what = `the object provided is unrecognized (must be of type ${kind.kind})`;
    throw badRequest(`${what}: ${read.error} (${summarize(bytes)})`);
  }
  const fault = findKindFault(kind, read.value.apiVersion, read.value.kind);
  if (fault !== undefined) throw badRequest(fault);
  try {
    const { object, strictErrors } = read.value.decode(kind);
    if (fieldValidation === "Warn") { for (const error of strictErrors) exchange.warnings.add(error); }
    if (fieldValidation === "Strict" && strictErrors.length > 0) {
      throw badRequest(`${subjectOf(kind)}: strict decoding error: ${strictErrors.join(", ")}`);
    }
    return object;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${subjectOf(kind)}: ${error.message}`);
    throw error;
  }
}

/**
 * Decodes an options body such as DeleteOptions, which may come in any API version. Throws StatusError 400 with the
 * decoder's bare text.
 */
export function decodeOptionsBody(kind: Kind, mediaType: MediaType, bytes: Uint8Array): KubeObject {
  const read = readTyped(mediaType, bytes);
  if (!read.ok) throw badRequest(read.error);
  const named = read.value.kind;
  if (named !== "" && named !== kind.kind) {
    throw badRequest(noKindText(read.value.apiVersion === "" ? apiVersionOf(kind) : read.value.apiVersion, named));
  }
  try {
    return read.value.decode(kind).object;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(error.message);
    throw error;
  }
}

/** Why a body of these names is no object of a kind; undefined when it is. Absent names mean the kind itself. */
export function findKindFault(kind: Kind, apiVersion: string, kindName: string): string | undefined {
  const wanted = apiVersionOf(kind);
  const version = apiVersion === "" ? wanted : apiVersion;
  const name = kindName === "" ? kind.kind : kindName;
  if (version === wanted && name === kind.kind) return undefined;
  const known = ALL_KINDS.find((other) =>
    apiVersionOf(other) === version && [other.kind, other.listKind].includes(name)
  );
  const shortVersion = version.slice(version.indexOf("/") + 1);
  const subject = `${name} in version "${shortVersion}" cannot be handled as a ${kind.kind}`;
  if (known === undefined) return `${subject}: ${noKindText(version, name)}`;
  if (goTypeOf({ group: known.group, kind: name }) === goTypeOf(kind)) {
    return `the API version in the data (${version}) does not match the expected API version (${wanted})`;
  }
  return `${subject}: converting (${shortVersion}.${name}) to (${goTypeOf(kind)}): unknown conversion`;
}

/** What a body says it is, and how to decode it. */
interface TypedBody {
  readonly apiVersion: string;
  readonly kind: string;
  /** Throws DecodeError. */
  decode(kind: Kind): { readonly object: KubeObject; readonly strictErrors: readonly string[] };
}

const GO_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string ' +
  '"json:\\"kind,omitempty\\"" }';

/** The names in a body; the error is Go's text. */
function readTyped(mediaType: MediaType, bytes: Uint8Array): Result<TypedBody, string> {
  try {
    if (mediaType === "application/vnd.kubernetes.protobuf") {
      const { apiVersion, kind, raw } = decodeEnvelope(bytes);
      const decode: TypedBody["decode"] = ({ schema }) => ({
        // A decoded message is an object by its schema.
        object: decodeMessage(schema, raw) as unknown as KubeObject,
        strictErrors: [],
      });
      return ok({ apiVersion, kind, decode });
    }
    const text = new TextDecoder().decode(bytes);
    return typedDocument(mediaType === "application/yaml" ? parseYaml(text) : parseJson(text));
  } catch (error) {
    if (error instanceof DecodeError) return err(error.message);
    if (!(error instanceof JsonSyntaxError)) throw error;
    return err(mediaType === "application/yaml" ? error.message : noTypeText(error.message));
  }
}

function typedDocument(document: JsonDocument): Result<TypedBody, string> {
  // `null` and an empty YAML document are an object without fields.
  const value = document.value ?? {};
  if (typeof value !== "object" || Array.isArray(value)) {
    return err(noTypeText(`json: cannot unmarshal ${goJsonType(value)} into Go value of type ${GO_TYPE_META}`));
  }
  const names = { apiVersion: "", kind: "" };
  for (const [key, named] of Object.entries(value)) {
    if ((key !== "apiVersion" && key !== "kind") || named === null) continue;
    if (typeof named !== "string") {
      return err(noTypeText(`json: cannot unmarshal ${goJsonType(named)} into Go struct field .${key} of type string`));
    }
    names[key] = named;
  }
  return ok({
    ...names,
    decode({ schema }) {
      const { object, strictErrors } = decodeObject(schema, value, document);
      return { object: object as unknown as KubeObject, strictErrors };
    },
  });
}

function noTypeText(why: string): string {
  return `couldn't get version/kind; json parse error: ${why}`;
}

/** The first 30 bytes, as text when the body looks like JSON, else in hexadecimal. */
function summarize(bytes: Uint8Array): string {
  if (bytes.length === 0) return "<empty>";
  const head = Buffer.from(bytes.subarray(0, 30));
  const shown = bytes[0] === 0x7b ? head.toString("utf8") : head.toString("hex");
  return bytes.length > 30 ? `${shown} ...` : shown;
}

function subjectOf(kind: Kind): string {
  return `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}`;
}

function goJsonType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

function tooLarge() {
  return requestEntityTooLarge(`limit is ${MAX_BODY_BYTES}`);
}
