/** Reads request bodies up to the limit, checks their kind and API version, and decodes them into canonical objects. */
import { type DecodedObject, decodeObject, jsonBytes } from "../../core/kube/wire/object_json.ts";
import {
  DecodeError,
  goJsonType,
  isJsonObject,
  type JsonDocument,
  JsonSyntaxError,
  listMembers,
} from "../../core/kube/json_value.ts";
import { decodeEnvelope } from "../../core/kube/wire/protobuf_envelope.ts";
import { decodeMessage } from "../../core/kube/wire/protobuf.ts";
import { decodeUtf8, goQuote } from "../../core/lib/go_text.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { formatApiVersion, type Kind, type MessageSchema } from "../../core/kube/schema.ts";
import { badRequest, requestEntityTooLarge } from "../../core/kube/status/status.ts";
import { createTimeoutError } from "./deadline.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { MAX_BODY_BYTES } from "./limits.ts";
import { formatGoType, formatUnknownKind, isKnownKind, UNVERSIONED_KINDS } from "./known_kinds.ts";
import type { MediaType } from "./negotiation.ts";
import { parseJson } from "../../core/kube/wire/json_parser.ts";
import { parseYaml } from "../../core/kube/wire/yaml.ts";
import { ALL_KINDS, statusSchema } from "../../core/kube/kinds/mod.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { encodeHex } from "../../core/lib/encodings.ts";

/** The handling of unknown and duplicate fields. */
export type FieldValidation = "Ignore" | "Warn" | "Strict";

/**
 * How many times the size limit is read at most, so that a client that writes its whole body before it reads still gets
 * its 413. The excess is discarded.
 */
const DRAINED_BODIES = 8;

/**
 * Reads the whole body, and gives up the seat of the request meanwhile. Throws StatusError 413 beyond the limit, 400
 * for a truncated body, 504 when the request has timed out, and OverloadError when too many bytes are in memory at
 * once.
 */
export async function readBody(
  exchange: Pick<Exchange, "incoming" | "seat" | "isTimedOut" | "beginSteps">,
  maxBytes: number = MAX_BODY_BYTES,
): Promise<Uint8Array> {
  const { seat } = exchange;
  const read = () => readAll(exchange, maxBytes);
  const bytes = await (seat === undefined ? read() : seat.yieldWhile(read));
  if (exchange.isTimedOut) throw createTimeoutError();
  exchange.beginSteps(bytes.length);
  return bytes;
}

/** A body: bytes, or the value of a client in the same process. */
export type Sent = Uint8Array | { readonly value: unknown };

/** Reads a body that is one object. See `readBody`. */
export async function readSent(exchange: Parameters<typeof readBody>[0], maxBytes?: number): Promise<Sent> {
  const { value } = exchange.incoming;
  return value === undefined ? await readBody(exchange, maxBytes) : { value };
}

async function readAll(exchange: Pick<Exchange, "incoming" | "seat">, maxBytes: number): Promise<Uint8Array> {
  const maxDrained = DRAINED_BODIES * maxBytes;
  const createError = () => requestEntityTooLarge(`limit is ${maxBytes}`);
  if (Number(findHeader(exchange, "content-length")) > maxDrained) throw createError();
  let bytes = new Uint8Array(0);
  let length = 0;
  await exchange.incoming.readBody((piece) => {
    const at = length;
    length += piece.length;
    if (length > maxBytes) return length <= maxDrained;
    exchange.seat?.holdBytes(piece.length);
    if (length > bytes.length) bytes = grow(bytes, length);
    bytes.set(piece, at);
    return true;
  }).catch(refuseTruncatedBody);
  if (length > maxBytes) throw createError();
  return bytes.subarray(0, length);
}

/**
 * Copies bytes to a larger buffer. A body has its own single buffer, because a client may send every byte as a separate
 * piece, and each piece may keep a much larger buffer of the runtime alive.
 */
function grow(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(length, Math.min(2 * bytes.length, MAX_BODY_BYTES)));
  larger.set(bytes);
  return larger;
}

/**
 * Refuses a body whose client disconnects while sending or sends malformed chunks, which is not an error of the server.
 */
function refuseTruncatedBody(): never {
  throw badRequest("unexpected EOF");
}

/**
 * Decodes a body into a canonical object of the endpoint's kind. Throws StatusError 400; unknown and duplicate fields
 * become warnings or, with `Strict`, a refusal.
 */
export function decodeBody(
  exchange: Pick<Exchange, "warnings">,
  kind: Kind,
  mediaType: MediaType,
  sent: Sent,
  fieldValidation: FieldValidation,
): KubeObject {
  const read = readTypedBody(mediaType, sent);
  if (!read.ok) {
    const what = `the object provided is unrecognized (must be of type ${kind.kind})`;
    throw badRequest(`${what}: ${read.error} (${summarize(toBytes(sent))})`);
  }
  const names = withDefaultNames(read.value, kind);
  const subject = `${names.kind} in version ${goQuote(names.version)} cannot be handled as a ${kind.kind}`;
  const handleStrict = (errors: readonly string[]): void => {
    if (fieldValidation === "Warn") exchange.warnings.addStrict(errors);
    if (fieldValidation === "Strict" && errors.length > 0) {
      throw badRequest(`${subject}: strict decoding error: ${errors.join(", ")}`);
    }
  };
  const fault = orRefuse(
    () => findKindFault(kind, names, read.value, () => decodeUtf8(toBytes(sent)).toWellFormed(), handleStrict),
    `${subject}: `,
  );
  if (fault !== undefined) throw badRequest(fault);
  const { object, strictErrors } = orRefuse(() => read.value.decode(kind), `${subject}: `);
  handleStrict(strictErrors);
  return object;
}

/**
 * Decodes an options body such as DeleteOptions, which may have any API version. Throws StatusError 400 with the
 * decoder's bare text.
 */
export function decodeOptionsBody<T extends object>(
  kind: Pick<Kind, "group" | "version" | "kind"> & HasSchema<T>,
  mediaType: MediaType,
  sent: Sent,
): T {
  const read = readTypedBody(mediaType, sent);
  if (!read.ok) throw badRequest(read.error);
  const named = read.value.kind;
  if (UNVERSIONED_KINDS.includes(named)) {
    throw badRequest(`converting (v1.${named}) to (v1.${kind.kind}): unknown conversion`);
  }
  if (named !== "" && named !== kind.kind) {
    throw badRequest(
      formatUnknownKind(read.value.apiVersion === "" ? formatApiVersion(kind) : read.value.apiVersion, named),
    );
  }
  return orRefuse(() => read.value.decode(kind), "").object;
}

function toBytes(sent: Sent): Uint8Array {
  return sent instanceof Uint8Array ? sent : jsonBytes(sent.value);
}

/** Runs a decoder, and turns its DecodeError into StatusError 400. */
function orRefuse<T>(decode: () => T, prefix: string): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${prefix}${error.message}`);
    throw error;
  }
}

/** Formats the first 30 bytes, as text if the body looks like JSON, otherwise in hexadecimal. */
function summarize(bytes: Uint8Array): string {
  if (bytes.length === 0) return "<empty>";
  const head = bytes.subarray(0, 30);
  const shown = bytes[0] === 0x7b ? decodeUtf8(head).toWellFormed() : encodeHex(head);
  return bytes.length > 30 ? `${shown} ...` : shown;
}

interface HasSchema<T extends object> {
  readonly schema: MessageSchema<T>;
}

/** A body with its kind and API version, ready to be decoded. */
interface TypedBody {
  /** The API version, empty when the body has none. */
  readonly apiVersion: string;
  readonly kind: string;
  /** Decodes the body as a kind. Throws DecodeError. */
  decode<T extends object>(kind: HasSchema<T>): DecodedObject<T>;
}

/** The kind, group and version of a body, with the defaults of the endpoint. */
interface BodyNames {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Parses a body of any media type and finds its kind and API version; the error is Go's message. */
function readTypedBody(mediaType: MediaType, sent: Sent): Result<TypedBody, string> {
  if (!(sent instanceof Uint8Array)) return readTypedDocument({ value: sent.value, duplicates: [] });
  try {
    if (mediaType === "application/vnd.kubernetes.protobuf") return ok(readTypedEnvelope(sent));
    return readTypedDocument(mediaType === "application/yaml" ? parseYaml(sent) : parseJson(sent));
  } catch (error) {
    if (error instanceof DecodeError) return err(error.message);
    if (!(error instanceof JsonSyntaxError)) throw error;
    return err(mediaType === "application/yaml" ? error.message : formatNoType(error.message));
  }
}

function readTypedEnvelope(bytes: Uint8Array): TypedBody {
  const { apiVersion, kind, raw } = decodeEnvelope(bytes);
  return {
    // A malformed API version counts as none here (`schema.FromAPIVersionAndKind`, `copyKindDefaults`).
    apiVersion: /^(?:[^/]*\/)?[^/]+$/.test(apiVersion) ? apiVersion : "",
    kind,
    decode: ({ schema }) => ({ object: decodeMessage(schema, raw), strictErrors: [] }),
  };
}

const GO_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string ' +
  '"json:\\"kind,omitempty\\"" }';

/** Finds kind and API version in parsed JSON; the error is Go's message. */
export function readTypedDocument(document: JsonDocument): Result<TypedBody, string> {
  // `null` and an empty YAML document are an object without fields.
  const value = document.value ?? {};
  if (!isJsonObject(value)) {
    return err(formatNoType(`json: cannot unmarshal ${goJsonType(value)} into Go value of type ${GO_TYPE_META}`));
  }
  const names = { apiVersion: "", kind: "" };
  let fault: string | undefined;
  for (const { key, value: named } of listMembers(document, value)) {
    // Go's own decoder reads the names, and ignores their case.
    const name = /^kind$/iu.test(key) ? "kind" : /^apiversion$/iu.test(key) ? "apiVersion" : undefined;
    if (name === undefined || named === null) continue;
    if (typeof named === "string") names[name] = named;
    else fault ??= `json: cannot unmarshal ${goJsonType(named)} into Go struct field .${name} of type string`;
  }
  if (fault !== undefined) return err(formatNoType(fault));
  if (names.apiVersion.split("/").length > 2) return err(`unexpected GroupVersion string: ${names.apiVersion}`);
  return ok({
    ...names,
    decode: ({ schema }) => decodeObject(schema, value, document),
  });
}

function formatNoType(why: string): string {
  return `couldn't get version/kind; json parse error: ${why}`;
}

/**
 * Completes the kind and API version of a body with those of the endpoint (apimachinery `serializer/json`,
 * `gvkWithDefaults`).
 */
export function withDefaultNames(body: Pick<TypedBody, "apiVersion" | "kind">, kind: Kind): BodyNames {
  const parts = body.apiVersion === "/" ? [""] : body.apiVersion.split("/");
  const [group = "", version = ""] = parts.length === 1 ? ["", parts[0]] : parts;
  const isUnnamed = version === "" && (group === "" || group === kind.group);
  return {
    group: isUnnamed ? kind.group : group,
    version: isUnnamed ? kind.version : version,
    kind: body.kind === "" ? kind.kind : body.kind,
  };
}

/**
 * Finds the reason why a body with these names is not an object of a kind; undefined when it is one. Throws DecodeError
 * when the body does not decode as the kind that it names.
 *
 * @param source the body as text
 * @param handleStrict called with the strict decoding errors of an object in another version, before it is refused
 */
function findKindFault(
  kind: Kind,
  names: BodyNames,
  body: Pick<TypedBody, "decode">,
  source: () => string,
  handleStrict: (errors: readonly string[]) => void,
): string | undefined {
  const wanted = formatApiVersion(kind);
  const found = formatApiVersion(names);
  if (found === wanted && names.kind === kind.kind && names.version !== "") return undefined;
  const subject = `${names.kind} in version ${goQuote(names.version)} cannot be handled as a ${kind.kind}`;
  if (names.version === "") return `${subject}: Object 'apiVersion' is missing in '${source()}'`;
  if (!isKnownKind(found, names.kind)) return `${subject}: ${formatUnknownKind(found, names.kind)}`;
  const strictErrors = decodeAsNamed(names, body);
  if (names.kind === kind.kind && formatGoType(names) === formatGoType(kind)) {
    handleStrict(strictErrors);
    return `the API version in the data (${found}) does not match the expected API version (${wanted})`;
  }
  return `${subject}: converting (${formatVersionedGoType(names)}) to (${formatGoType(kind)}): unknown conversion`;
}

/**
 * Decodes a body as the kind that it names, when that kind has a schema here; returns the strict errors. Throws
 * DecodeError.
 */
export function decodeAsNamed(names: BodyNames, body: Pick<TypedBody, "decode">): readonly string[] {
  const schema = names.kind === "Status"
    ? statusSchema
    : ALL_KINDS.find((known) => known.kind === names.kind && formatApiVersion(known) === formatApiVersion(names))
      ?.schema;
  return schema === undefined ? [] : body.decode({ schema }).strictErrors;
}

/** Returns the versioned Go type of a kind; options and watch events are those of `meta/v1` in every version. */
export function formatVersionedGoType({ version, kind }: BodyNames): string {
  return `${/(?:Options|^WatchEvent)$/.test(kind) || UNVERSIONED_KINDS.includes(kind) ? "v1" : version}.${kind}`;
}
