/**
 * Creates answers: objects, lists and errors in the negotiated media type, with the headers of every answer, and the
 * answers of a server that is overloaded or stopping.
 */
import { promisify } from "node:util";
import { gzip, type ZlibOptions } from "node:zlib";
import { Buffer } from "node:buffer";
import { statusSchema } from "../../core/kube/kinds/mod.ts";
import { serviceUnavailable, statusFromError } from "../../core/kube/status/status.ts";
import { formatApiVersion, type Kind, type MessageSchema } from "../../core/kube/schema.ts";
import { type Answer, type AnswerBody, type AnswerHeaders, CHUNK_BYTES, joinPieces, sumLengths } from "./answer.ts";
import { type Exchange, findHeader, getUserAgent } from "./exchange.ts";
import { type MediaType, negotiateError, type Representation } from "./negotiation.ts";
import { PROBE_PATHS } from "./request_info.ts";
import type { Stored } from "../storage/storage.ts";
import { encodeObject, jsonText } from "../../core/kube/wire/object_json.ts";
import { encodeEnvelope, encodeListItem, encodeListOfItems } from "../../core/kube/wire/protobuf_envelope.ts";
import { encodeMessage } from "../../core/kube/wire/protobuf.ts";
import type { ListMeta } from "../../core/kube/meta.ts";
import { formatYaml } from "../../core/lib/yaml/format.ts";

/** The type of an encoded object: its names, and its schema when protobuf is possible. */
export interface Wire {
  readonly apiVersion: string;
  readonly kind: string;
  readonly schema?: MessageSchema;
}

export function toWire(kind: Kind): Wire {
  return { apiVersion: formatApiVersion(kind), kind: kind.kind, schema: kind.schema };
}

/** Encodes any object; an object without a schema is encoded as JSON instead of protobuf. */
export function encodeWire(wire: Wire, object: object, mediaType: MediaType, pretty: boolean): Uint8Array {
  if (mediaType === "application/vnd.kubernetes.protobuf" && wire.schema !== undefined) {
    return encodeEnvelope(wire.apiVersion, wire.kind, encodeMessage(wire.schema, object));
  }
  const value = wire.apiVersion === "" ? { kind: wire.kind, ...object } : encodeObject(wire, object);
  if (mediaType === "application/yaml") return Buffer.from(formatYaml(value), "utf8");
  // Go ends compact JSON with a newline, indented JSON without.
  return Buffer.from(pretty ? jsonText(value, 2) : `${jsonText(value)}\n`, "utf8");
}

/** Encodes a stored object; its compact JSON has the stored bytes after `kind` and `apiVersion`. */
export function encodeStored(
  kind: Kind,
  stored: Pick<Stored, "object" | "bytes">,
  mediaType: MediaType,
  pretty: boolean,
): Uint8Array {
  if (mediaType !== "application/json" || pretty) return encodeWire(toWire(kind), stored.object, mediaType, pretty);
  return Buffer.concat([getTypeHead(kind), stored.bytes.subarray(1), NEWLINE]);
}

/** Encodes a list at one revision; its compact JSON contains the stored bytes of the items, one after another. */
export function encodeStoredList(
  kind: Kind,
  metadata: ListMeta,
  items: readonly Pick<Stored, "object" | "bytes">[],
  mediaType: MediaType,
  pretty: boolean,
): Uint8Array | readonly Uint8Array[] {
  if (mediaType === "application/vnd.kubernetes.protobuf") {
    return encodeListOfItems(kind, metadata, items.map((item) => getListItem(kind, item)));
  }
  const apiVersion = formatApiVersion(kind);
  if (mediaType !== "application/json" || pretty) {
    const list = { kind: kind.listKind, apiVersion, metadata, items: items.map((item) => item.object) };
    if (mediaType === "application/yaml") return Buffer.from(formatYaml(list), "utf8");
    return Buffer.from(jsonText(list, 2), "utf8");
  }
  const head = `{"kind":"${kind.listKind}","apiVersion":"${apiVersion}","metadata":${
    JSON.stringify(metadata)
  },"items":[`;
  const parts: Uint8Array[] = [Buffer.from(head, "utf8")];
  for (const { bytes } of items) {
    if (parts.length > 1) parts.push(COMMA);
    parts.push(bytes);
  }
  parts.push(LIST_END);
  return parts;
}

const listItems = new WeakMap<Pick<Stored, "object">, Uint8Array>();

/** Returns the protobuf of a stored object in a list, which is cached with the object. */
function getListItem(kind: Kind, item: Pick<Stored, "object">): Uint8Array {
  let encoded = listItems.get(item);
  if (encoded === undefined) listItems.set(item, encoded = encodeListItem(kind, item.object));
  return encoded;
}

/** Encodes a stored object with its type as JSON, without the newline. */
export function encodeStoredJson(kind: Kind, stored: Stored): Uint8Array {
  return Buffer.concat([getTypeHead(kind), stored.bytes.subarray(1)]);
}

const NEWLINE = Buffer.from("\n");
const COMMA = Buffer.from(",");
const LIST_END = Buffer.from("]}\n");
const heads = new WeakMap<Kind, Buffer>();

function getTypeHead(kind: Kind): Buffer {
  let head = heads.get(kind);
  if (head === undefined) {
    head = Buffer.from(`{"kind":"${kind.kind}","apiVersion":"${formatApiVersion(kind)}",`, "utf8");
    heads.set(kind, head);
  }
  return head;
}

/** Larger bodies are compressed for clients that accept gzip (kube-apiserver's threshold). */
const GZIP_THRESHOLD_BYTES = 131_072;
/**
 * Large lists are compressed for speed, not for size. The objects of a list are similar, so a window of 8 KiB finds
 * nearly as much as one of 32 KiB. With that, a larger hash table and fewer output pieces, compression takes two thirds
 * of the time.
 */
const GZIP_OPTIONS = { level: 1, windowBits: 13, memLevel: 9, chunkSize: 65_536 };

/** Compresses bytes on a thread of the runtime. */
export const compress: (bytes: Uint8Array, options?: ZlibOptions) => Promise<Uint8Array> = promisify(gzip);

/** Answers with bytes, in one piece or in several. */
export async function respondBytes(
  exchange: Exchange,
  status: number,
  contentType: string,
  bytes: Uint8Array | readonly Uint8Array[],
  extra: AnswerHeaders = {},
): Promise<Answer> {
  const isWhole = bytes instanceof Uint8Array;
  const length = isWhole ? bytes.length : sumLengths(bytes);
  const joinedBytes = (): Uint8Array => isWhole ? bytes : joinPieces(bytes, length);
  if (length > GZIP_THRESHOLD_BYTES && acceptsGzip(exchange)) {
    const compressed = await compress(joinedBytes(), GZIP_OPTIONS);
    return createAnswer(exchange, status, contentType, compressed, compressed.length, {
      ...extra,
      "content-encoding": "gzip",
      vary: [...[extra["vary"] ?? []].flat(), "Accept-Encoding"],
    });
  }
  return createAnswer(exchange, status, contentType, length > CHUNK_BYTES ? bytes : joinedBytes(), length, extra);
}

function createAnswer(
  exchange: Exchange,
  status: number,
  contentType: string,
  body: AnswerBody,
  length: number,
  extra: AnswerHeaders,
): Answer {
  const headers = {
    ...createBaseHeaders(exchange, extra),
    "content-type": contentType,
    "content-length": String(length),
  };
  return { status, headers, body };
}

/** Answers with a typed object. */
export function respondWire(
  exchange: Exchange,
  status: number,
  wire: Wire,
  object: object,
  representation: Representation,
): Promise<Answer> {
  exchange.audit?.responseObject(wire, () => object);
  const mediaType = wire.schema === undefined && representation.mediaType === "application/vnd.kubernetes.protobuf"
    ? "application/json"
    : representation.mediaType;
  return respondBytes(exchange, status, mediaType, encodeWire(wire, object, mediaType, representation.pretty));
}

export const STATUS_WIRE: Wire = { apiVersion: "v1", kind: "Status", schema: statusSchema };

/** Answers with an error as a Status in the type that the client accepts; an untyped error becomes a plain 500. */
export function respondError(exchange: Exchange, error: unknown): Promise<Answer> {
  const { status, headers } = statusFromError(error);
  const userAgent = getUserAgent(exchange);
  const representation = negotiateError(findHeader(exchange, "accept"), exchange.query, userAgent);
  const retryAfter = status.details?.retryAfterSeconds;
  const code = status.code ?? 500;
  exchange.audit?.responseObject(STATUS_WIRE, () => status);
  const bytes = encodeWire(STATUS_WIRE, status, representation.mediaType, representation.pretty);
  return respondBytes(exchange, code, representation.mediaType, bytes, {
    ...(retryAfter === undefined || retryAfter === 0 ? {} : { "retry-after": String(retryAfter) }),
    ...headers,
  });
}

/** Answers with plain text, for paths outside the API. */
export function respondText(
  exchange: Exchange,
  status: number,
  text: string,
  extra: AnswerHeaders = {},
): Promise<Answer> {
  return respondBytes(exchange, status, "text/plain; charset=utf-8", new TextEncoder().encode(text), {
    ...extra,
    "x-content-type-options": "nosniff",
  });
}

/** Creates an answer without a body. */
export function respondEmpty(exchange: Exchange, status: number, extra: AnswerHeaders = {}): Promise<Answer> {
  return Promise.resolve({ status, headers: createBaseHeaders(exchange, extra), body: undefined });
}

/** Creates the headers of every answer, and adds those of this answer. */
export function createBaseHeaders(exchange: Exchange, extra: AnswerHeaders = {}): AnswerHeaders {
  const warnings = exchange.warnings.headers();
  return {
    "audit-id": exchange.auditId,
    "cache-control": "no-cache, private",
    ...(warnings.length === 0 ? {} : { warning: warnings }),
    ...extra,
  };
}

/** Whether the client accepts gzip. */
export function acceptsGzip(exchange: Exchange): boolean {
  return (findHeader(exchange, "accept-encoding") ?? "").split(",").some((part) => part.trim() === "gzip");
}

export const METRICS_PATH = "/metrics";
/** Probes and metrics are served until the process ends. */
const SERVED_WHILE_STOPPING: readonly string[] = [...PROBE_PATHS, METRICS_PATH];

/**
 * Refuses a new request while the server stops (apiserver `pkg/server/filters/waitgroup.go`); undefined for requests that
 * are still served. Watches end by themselves.
 */
export function refuseWhileDraining(exchange: Exchange): Promise<Answer> | undefined {
  const { info: { path, verb } } = exchange;
  if (verb === "watch" || SERVED_WHILE_STOPPING.some((prefix) => path.startsWith(prefix))) return undefined;
  if (findHeader(exchange, "user-agent")?.startsWith("kube-apiserver/") === true) return undefined;
  const { status } = serviceUnavailable("apiserver is shutting down");
  const body = `${jsonText({ kind: "Status", apiVersion: "v1", ...status })}\n\n`;
  return respondBytes(exchange, status.code ?? 503, "application/json", new TextEncoder().encode(body), {
    "retry-after": "1",
    "x-content-type-options": "nosniff",
  });
}

/** Answers 429 in plain text (apiserver `pkg/server/filters/maxinflight.go`, `tooManyRequests`). */
export function respondOverloaded(exchange: Exchange): Promise<Answer> {
  return respondText(exchange, 429, "Too many requests, please try again later.\n", {
    "retry-after": "1",
  });
}
