/** Answers: bodies with the headers every answer carries, and errors as Status. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { statusSchema } from "../../core/kube/kinds/mod.ts";
import { statusFromError } from "../../core/kube/status.ts";
import type { Exchange } from "./exchange.ts";
import { headerOf } from "./exchange.ts";
import { encodeWire } from "./encoding.ts";
import { negotiateError, type Representation } from "./negotiation.ts";

/** Bodies beyond this are compressed for clients that accept it (kube-apiserver's threshold). */
const GZIP_THRESHOLD_BYTES = 131_072;
/** Large lists are compressed for speed, not for size. */
const GZIP_LEVEL = 1;

const compress = promisify(gzip);

/** Sends bytes. */
export async function respondBytes(
  exchange: Exchange,
  status: number,
  contentType: string,
  bytes: Uint8Array,
  extra: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const headers = baseHeaders(exchange, extra);
  headers.set("content-type", contentType);
  let body = bytes;
  if (bytes.length > GZIP_THRESHOLD_BYTES && acceptsGzip(exchange)) {
    body = await compress(bytes, { level: GZIP_LEVEL });
    headers.set("content-encoding", "gzip");
    headers.append("vary", "Accept-Encoding");
  }
  headers.set("content-length", String(body.length));
  return new Response(body as BodyInit, { status, headers });
}

/** Sends a typed object. */
export function respondWire(
  exchange: Exchange,
  status: number,
  wire: Parameters<typeof encodeWire>[0],
  object: object,
  representation: Representation,
): Promise<Response> {
  const mediaType = wire.schema === undefined && representation.mediaType === "application/vnd.kubernetes.protobuf"
    ? "application/json"
    : representation.mediaType;
  return respondBytes(exchange, status, mediaType, encodeWire(wire, object, mediaType, representation.pretty));
}

/** The wire form of a Status. */
export const STATUS_WIRE: Parameters<typeof encodeWire>[0] = { apiVersion: "v1", kind: "Status", schema: statusSchema };

/** Sends an error as a Status in the type that the client accepts; anything untyped becomes a plain 500. */
export function respondError(exchange: Exchange, error: unknown): Promise<Response> {
  const { status, headers } = statusFromError(error);
  const userAgent = headerOf(exchange, "user-agent") ?? "";
  const representation = negotiateError(headerOf(exchange, "accept"), exchange.query, userAgent);
  const retryAfter = status.details?.retryAfterSeconds;
  const code = status.code ?? 500;
  const bytes = encodeWire(STATUS_WIRE, status, representation.mediaType, representation.pretty);
  return respondBytes(exchange, code, representation.mediaType, bytes, {
    ...(retryAfter === undefined || retryAfter === 0 ? {} : { "retry-after": String(retryAfter) }),
    ...headers,
  });
}

/** Sends plain text, as the paths that are no API do. */
export function respondText(
  exchange: Exchange,
  status: number,
  text: string,
  extra: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return respondBytes(exchange, status, "text/plain; charset=utf-8", new TextEncoder().encode(text), {
    ...extra,
    "x-content-type-options": "nosniff",
  });
}

/** Sends headers alone. */
export function respondEmpty(
  exchange: Exchange,
  status: number,
  extra: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return Promise.resolve(new Response(null, { status, headers: baseHeaders(exchange, extra) }));
}

/** Headers of every answer, and those of this one. */
export function baseHeaders(exchange: Exchange, extra: Readonly<Record<string, string>> = {}): Headers {
  const headers = new Headers();
  headers.set("audit-id", exchange.auditId);
  headers.set("cache-control", "no-cache, private");
  for (const warning of exchange.warnings.headers()) headers.append("warning", warning);
  for (const [name, value] of Object.entries(extra)) headers.set(name, value);
  return headers;
}

/** Whether the client reads gzip. */
export function acceptsGzip(exchange: Exchange): boolean {
  return (headerOf(exchange, "accept-encoding") ?? "").split(",").some((part) => part.trim() === "gzip");
}
