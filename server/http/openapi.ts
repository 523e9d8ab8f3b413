/**
 * The OpenAPI documents at `/openapi/v2` and below `/openapi/v3`, generated from the schemas of the kinds, and served with
 * conditions and ranges like Go's `http.ServeContent`.
 */
import { hash } from "node:crypto";
import { jsonText } from "../../core/kube/wire/object_json.ts";
import { createOpenApiV2, GNOSTIC_V2 } from "../../core/kube/openapi/v2.ts";
import { createOpenApiV3Documents, GNOSTIC_V3 } from "../../core/kube/openapi/v3.ts";
import { encodeGnostic } from "../../core/kube/openapi/gnostic.ts";
import type { OpenApiObject } from "../../core/kube/openapi/schemas.ts";
import type { ServedKind } from "../../core/kube/openapi/route.ts";
import type { Clock } from "../../core/ports.ts";
import type { Answer, AnswerHeaders } from "./answer.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { matchesClause, parseAccept } from "./negotiation.ts";
import { acceptsGzip, compress, createBaseHeaders, respondEmpty, respondText } from "./respond.ts";
import type { ServedRoute } from "./routes.ts";

/** One document in its two forms, each of which is encoded at its first request. */
interface Document {
  readonly etag: () => string;
  readonly getContent: (form: Form) => Content;
}

type Form = "json" | "protobuf";

const PROTOBUF_TYPE = {
  v2: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
  v3: "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
};
/** The forms in kube-apiserver's order, which matters for wildcards; old clients use the second name of protobuf. */
const FORMS = {
  v2: createForms(PROTOBUF_TYPE.v2),
  v3: createForms(PROTOBUF_TYPE.v3),
};
/** The size from which kube-apiserver's library compresses a document at `/openapi/v2`. */
const GZIP_FROM_BYTES = 1400;

export function createOpenapiRoutes(
  served: readonly ServedKind[],
  serverVersion: string,
  clock: Pick<Clock, "now">,
  isIssuerServed: boolean,
): readonly ServedRoute[] {
  const madeAt = clock.now();
  const v2 = createDocument("v2", madeAt, () => createOpenApiV2(served, serverVersion, isIssuerServed));
  const v3 = [...createOpenApiV3Documents(served, serverVersion, isIssuerServed)].map(([name, make]) => {
    return { name, document: createDocument("v3", madeAt, make) };
  });
  const index = lazy(() => {
    const paths = v3.map(({ name, document }) => [name, { serverRelativeURL: getDocumentUrl(name, document) }]);
    return encodeText(jsonText({ paths: Object.fromEntries(paths) }));
  });
  return [
    { path: "/openapi/v2", isListed: true, answer: (exchange) => respondV2(exchange, v2) },
    {
      path: V3_PATH,
      isListed: true,
      answer(exchange) {
        // kube-apiserver creates the list for each request, and Go detects its content type.
        const content = { bytes: index(), contentType: "text/plain; charset=utf-8", modifiedAt: clock.now() };
        return serveContent(exchange, content);
      },
    },
    { path: `${V3_PATH}/`, isListed: true, answer: (exchange) => respondEmpty(exchange, 404) },
    ...v3.map(({ name, document }): ServedRoute => ({
      path: `${V3_PATH}/${name}`,
      answer: (exchange) => respondV3(exchange, name, document),
    })),
    { path: `${V3_PATH}/*`, answer: (exchange) => respondEmpty(exchange, 404) },
  ];
}

const V3_PATH = "/openapi/v3";

function respondV3(exchange: Exchange, name: string, document: Document): Promise<Answer> {
  const vary = { vary: "Accept" };
  const form = chooseForm(exchange, "v3");
  if (form === undefined) return respondEmpty(exchange, 406, vary);
  const requestedHash = exchange.query.get("hash") ?? "";
  const content = document.getContent(form);
  if (requestedHash === "") return serveContent(exchange, content, vary);
  if (requestedHash === document.etag()) {
    const expires = new Date(content.modifiedAt);
    expires.setUTCFullYear(expires.getUTCFullYear() + 1);
    const forever = { ...vary, "cache-control": "public, immutable", expires: expires.toUTCString() };
    return serveContent(exchange, content, forever);
  }
  const location = getDocumentUrl(name, document);
  const moved = { ...vary, "content-type": content.contentType, etag: content.etag!, location };
  return respondEmpty(exchange, 301, moved);
}

/** Answers with the document of version 2, compressed whenever the client accepts gzip. */
async function respondV2(exchange: Exchange, document: Document): Promise<Answer> {
  const form = chooseForm(exchange, "v2");
  const vary = { vary: ["Accept-Encoding", "Accept"] };
  if (form === undefined) return respondEmpty(exchange, 406, vary);
  const response = await serveContent(exchange, document.getContent(form), vary);
  if (!acceptsGzip(exchange) || response.status !== 200) return response;
  const bytes = response.body;
  if (!(bytes instanceof Uint8Array) || bytes.length < GZIP_FROM_BYTES) return response;
  const body = await compress(bytes);
  const headers = { ...response.headers, "content-length": String(body.length), "content-encoding": "gzip" };
  return { ...response, headers, body };
}

function chooseForm(exchange: Exchange, version: "v2" | "v3"): Form | undefined {
  const accept = findHeader(exchange, "accept") ?? "";
  for (const clause of parseAccept(accept === "" ? "*/*" : accept)) {
    const found = FORMS[version].find(([name]) => matchesFormally(clause, name));
    if (found !== undefined) return found[1];
  }
  return undefined;
}

/** Whether a clause matches a media type. Here, a star with a specific subtype matches too. */
function matchesFormally(clause: ReturnType<typeof parseAccept>[number], name: string): boolean {
  return matchesClause(clause.type === "*" ? { ...clause, type: "application" } : clause, name);
}

function createForms(protobuf: string): readonly (readonly [name: string, form: Form])[] {
  return [
    ["application/json", "json"],
    [protobuf, "protobuf"],
    [protobuf.replace(".v1.0+", "@v1.0+"), "protobuf"],
  ];
}

function createDocument(version: "v2" | "v3", modifiedAt: Date, make: () => OpenApiObject): Document {
  // kube-openapi encodes version 2 without Go's usual HTML escapes.
  const json = lazy(() => encodeText(version === "v2" ? JSON.stringify(make()) : jsonText(make())));
  const etag = lazy(() => hash("sha512", json()).toUpperCase());
  const protobuf = lazy(() => encodeGnostic(version === "v2" ? GNOSTIC_V2 : GNOSTIC_V3, make()));
  return {
    etag,
    getContent: (form) => ({
      bytes: form === "json" ? json() : protobuf(),
      contentType: form === "json" ? "application/json" : PROTOBUF_TYPE[version],
      etag: `"${etag()}"`,
      modifiedAt,
    }),
  };
}

function getDocumentUrl(name: string, document: Document): string {
  return `${V3_PATH}/${name}?hash=${document.etag()}`;
}

function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

interface Content {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** The entity tag in quotes. */
  readonly etag?: string;
  readonly modifiedAt: Date;
}

/** Answers with the document, a range of it, 304, 412 or 416. */
function serveContent(exchange: Exchange, content: Content, extra: AnswerHeaders = {}): Promise<Answer> {
  const { bytes, contentType, etag, modifiedAt } = content;
  const validators = { ...extra, ...(etag === undefined ? {} : { etag }) };
  const dated = { ...validators, "last-modified": modifiedAt.toUTCString() };
  const outcome = evaluateConditions(exchange, content);
  // A 304 with an entity tag needs no date.
  if (outcome === "unmodified") return respondEmpty(exchange, 304, etag === undefined ? dated : validators);
  const typed = { ...dated, "content-type": contentType };
  if (outcome === "failed") return respondEmpty(exchange, 412, typed);
  const header = findHeader(exchange, "range") ?? "";
  const range = header === "" || !isRangeCurrent(exchange, content) ? undefined : parseRange(header, bytes.length);
  if (range === undefined) return respondContent(exchange, 200, bytes, { ...typed, "accept-ranges": "bytes" });
  if (range === "invalid") return respondText(exchange, 416, "invalid range\n", extra);
  if (range === "outside") {
    const headers = { ...extra, "content-range": `bytes */${bytes.length}` };
    return respondText(exchange, 416, "invalid range: failed to overlap\n", headers);
  }
  return respondContent(exchange, 206, bytes.subarray(range.start, range.end), {
    ...typed,
    "accept-ranges": "bytes",
    "content-range": `bytes ${range.start}-${range.end - 1}/${bytes.length}`,
  });
}

function respondContent(exchange: Exchange, status: number, bytes: Uint8Array, extra: AnswerHeaders): Promise<Answer> {
  const headers = createBaseHeaders(exchange, { ...extra, "content-length": String(bytes.length) });
  return Promise.resolve({ status, headers, body: bytes });
}

/** Evaluates the conditions in the order of RFC 9110, section 13.2.2. */
function evaluateConditions(exchange: Exchange, { etag, modifiedAt }: Content): "send" | "unmodified" | "failed" {
  const match = findHeader(exchange, "if-match");
  const unmodifiedSince = parseDate(findHeader(exchange, "if-unmodified-since"));
  if (match !== undefined) {
    if (!listsTag(match, etag)) return "failed";
  } else if (unmodifiedSince !== undefined && toSeconds(modifiedAt) > toSeconds(unmodifiedSince)) return "failed";
  const isRead = ["GET", "HEAD"].includes(exchange.incoming.method);
  const noneMatch = findHeader(exchange, "if-none-match");
  if (noneMatch !== undefined) {
    if (!listsTag(noneMatch, etag)) return "send";
    return isRead ? "unmodified" : "failed";
  }
  const modifiedSince = parseDate(findHeader(exchange, "if-modified-since"));
  const isOld = modifiedSince !== undefined && toSeconds(modifiedAt) <= toSeconds(modifiedSince);
  return isRead && isOld ? "unmodified" : "send";
}

/** Whether `If-Range` allows a range, which must belong to the version that the client has. */
function isRangeCurrent(exchange: Exchange, { etag, modifiedAt }: Content): boolean {
  const condition = findHeader(exchange, "if-range");
  if (condition === undefined) return true;
  if (condition.startsWith('"')) return condition === etag;
  const date = parseDate(condition);
  return date !== undefined && toSeconds(date) === toSeconds(modifiedAt);
}

function listsTag(list: string, etag: string | undefined): boolean {
  return list.split(",").map((tag) => tag.trim()).some((tag) =>
    tag === "*" || (etag !== undefined && tag.replace(/^W\//, "") === etag)
  );
}

function parseDate(text: string | undefined): Date | undefined {
  const date = new Date(text ?? "");
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function toSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/**
 * Parses a single range; undefined for several ranges, which get the whole document, as RFC 9110 section 14.2 allows.
 */
function parseRange(
  header: string,
  size: number,
): { readonly start: number; readonly end: number } | "invalid" | "outside" | undefined {
  if (!header.startsWith("bytes=")) return "invalid";
  const ranges = header.slice("bytes=".length).split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (ranges.length !== 1) return undefined;
  const found = /^(\d*)-(\d*)$/.exec(ranges[0]!);
  const [, first = "", last = ""] = found ?? [];
  if (found === null || (first === "" && last === "")) return "invalid";
  if (first === "") {
    const length = Math.min(Number(last), size);
    return { start: size - length, end: size };
  }
  const start = Number(first);
  if (start >= size) return "outside";
  if (last !== "" && Number(last) < start) return "invalid";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}
