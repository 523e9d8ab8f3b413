/** `/openapi/v3` with its group documents, and `/openapi/v2`, all made from the descriptions of the kinds. */
import { createHash } from "node:crypto";
import { openapiV2Json, openapiV2Protobuf } from "../../core/kube/openapi/v2.ts";
import { openapiV3Document, type ServedKind } from "../../core/kube/openapi/v3.ts";
import type { Exchange } from "./exchange.ts";
import { headerOf } from "./exchange.ts";
import { parseAccept } from "./negotiation.ts";
import { baseHeaders, respondBytes } from "./respond.ts";

/** Answers OpenAPI paths; undefined for any other path. */
export type OpenapiHandler = (exchange: Exchange) => Promise<Response> | undefined;

interface Document {
  readonly bytes: Uint8Array;
  readonly hash: string;
}

/** Builds the handler; documents are made when first asked for. */
export function createOpenapi(served: readonly ServedKind[], serverVersion: string): OpenapiHandler {
  const versions = new Map<string, { group: string; version: string }>();
  for (const { kind } of served) {
    const { group, version } = kind;
    versions.set(group === "" ? `api/${version}` : `apis/${group}/${version}`, { group, version });
  }
  const documents = new Map<string, Document>();
  const documentOf = (path: string, make: () => Uint8Array): Document => {
    const known = documents.get(path);
    if (known !== undefined) return known;
    const bytes = make();
    const hash = createHash("sha512").update(bytes).digest("hex").toUpperCase();
    documents.set(path, { bytes, hash });
    return { bytes, hash };
  };
  const v3 = (path: string): Document | undefined => {
    const version = versions.get(path);
    if (version === undefined) return undefined;
    const kinds = served.filter(({ kind }) => kind.group === version.group && kind.version === version.version);
    return documentOf(path, () => jsonOf(openapiV3Document(kinds, version.group, version.version)));
  };
  return (exchange) => {
    const path = exchange.info.path.replace(/\/$/, "");
    if (path === "/openapi/v3") {
      const root = documentOf("v3", () => {
        const paths = [...versions.keys()].sort().map((key) => [
          key,
          { serverRelativeURL: `/openapi/v3/${key}?hash=${v3(key)!.hash}` },
        ]);
        return jsonOf({ paths: Object.fromEntries(paths) });
      });
      return respondDocument(exchange, root, "application/json");
    }
    if (path.startsWith("/openapi/v3/")) {
      const key = path.slice("/openapi/v3/".length);
      const document = v3(key);
      if (document === undefined) return undefined;
      return respondHashed(exchange, key, document);
    }
    if (path !== "/openapi/v2") return undefined;
    const form = formOfV2(headerOf(exchange, "accept") ?? "");
    if (form === undefined) return Promise.resolve(new Response(null, { status: 406, headers: baseHeaders(exchange) }));
    if (form === "json") {
      return respondDocument(
        exchange,
        documentOf("v2.json", () => jsonOf(openapiV2Json(served, serverVersion))),
        "application/json",
      );
    }
    const protobuf = documentOf("v2.pb", () => openapiV2Protobuf(served, serverVersion));
    return respondDocument(exchange, protobuf, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  };
}

/** Which form of `/openapi/v2` an Accept header asks for: protobuf unless JSON comes first. */
function formOfV2(accept: string): "json" | "protobuf" | undefined {
  if (accept === "") return "json";
  for (const { type, subtype } of parseAccept(accept)) {
    if (type === "*" || (type === "application" && (subtype === "json" || subtype === "*"))) return "json";
    if (type === "application" && /^com\.github\.(proto-)?openapi\.spec\.v2[@.]v1\.0\+protobuf$/.test(subtype)) {
      return "protobuf";
    }
  }
  return undefined;
}

/** A document asked for by its hash never changes; by another hash it is somewhere else. */
function respondHashed(exchange: Exchange, key: string, document: Document): Promise<Response> {
  const asked = exchange.query.get("hash");
  if (asked !== null && asked !== document.hash) {
    const headers = baseHeaders(exchange);
    headers.set("content-type", "application/json");
    headers.set("vary", "Accept");
    headers.set("location", `/openapi/v3/${key}?hash=${document.hash}`);
    return Promise.resolve(new Response(null, { status: 301, headers }));
  }
  return respondDocument(
    exchange,
    document,
    "application/json",
    asked === null ? {} : { "cache-control": "public, immutable" },
  );
}

function respondDocument(
  exchange: Exchange,
  { bytes, hash }: Document,
  contentType: string,
  extra: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const headers = { etag: `"${hash}"`, vary: "Accept", ...extra };
  if (headerOf(exchange, "if-none-match") === `"${hash}"`) {
    const all = baseHeaders(exchange);
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return Promise.resolve(new Response(null, { status: 304, headers: all }));
  }
  return respondBytes(exchange, 200, contentType, bytes, headers);
}

function jsonOf(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
