/** Requests in their wire form: seeds and words for the targets that read requests. */
import { ALL_KINDS } from "../../../core/kube/kinds/mod.ts";
import { formatCollectionPath } from "../../../core/kube/schema.ts";
import { join } from "../mutate.ts";
import { type Bytes, decodeText, encodeText } from "../target.ts";
import { fromBase64, getVector, JSON_WORDS } from "./seeds.ts";

const NAMESPACE = "default";
const PATCHES: readonly (readonly [string, string])[] = [
  [
    "application/json-patch+json",
    '[{"op":"add","path":"/metadata/labels","value":{"a":"b"}},{"op":"copy","from":"/metadata","path":"/metadata/annotations"}]',
  ],
  ["application/merge-patch+json", '{"metadata":{"labels":{"a":null,"b":"c"}}}'],
  [
    "application/strategic-merge-patch+json",
    '{"metadata":{"finalizers":["a/b"],"$setElementOrder/finalizers":["a/b"]}}',
  ],
];

export const REQUEST_WORDS: readonly string[] = [
  "\r\n\r\n",
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/9.9",
  "GET ",
  "POST ",
  "PATCH ",
  "DELETE ",
  "CONNECT ",
  "OPTIONS * ",
  "Host: a\r\n",
  "Host: a b\r\n",
  "Content-Length: 0\r\n",
  "Content-Length: -1\r\n",
  "Content-Length: 99999999999999999999\r\n",
  "Content-Length: 5\r\nContent-Length: 6\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: x, chunked\r\n",
  "\r\n5\r\nhello\r\n0\r\n\r\n",
  "\r\nffffffffffffffff\r\n",
  "\r\n-1\r\n",
  "Expect: 100-continue\r\n",
  "Expect: x\r\n",
  "Upgrade: websocket\r\nConnection: Upgrade\r\n",
  "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n",
  "Connection: close\r\n",
  "Content-Encoding: gzip\r\n",
  "Accept-Encoding: gzip\r\n",
  "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n",
  "Accept: application/vnd.kubernetes.protobuf\r\n",
  "Accept: application/yaml\r\n",
  "Content-Type: application/yaml\r\n",
  "Content-Type: application/apply-patch+yaml\r\n",
  "Content-Type: application/vnd.kubernetes.protobuf\r\n",
  "Impersonate-User: a\r\n",
  "Impersonate-Group: system:masters\r\n",
  "Impersonate-Extra-%zz: a\r\n",
  "Authorization: Basic eDp5\r\n",
  "Authorization: Bearer x\r\n",
  "X-N: a\r\n",
  "Audit-Id: \u00e9\r\n",
  "Range: bytes=0-0,1-N\r\n",
  "If-None-Match: *\r\n",
  "?watch=1",
  "?watch=1&timeoutSeconds=1",
  "?limit=1&continue=e30",
  "?dryRun=All",
  "?fieldManager=a&force=1",
  "?fieldValidation=Strict",
  "?labelSelector=a%20in%20(b",
  "?resourceVersion=999999999",
  "?resourceVersion=0&resourceVersionMatch=Exact",
  "?timeout=1s",
  "/status",
  "/approval",
  "/finalize",
  "/..",
  "\u00ff",
  ...JSON_WORDS,
];

/** Returns every verb on every kind, patches of every type, and the paths that are about no resource. */
export function requestSeeds(headers: readonly string[]): readonly Bytes[] {
  const seeds: Bytes[] = [];
  const add = (method: string, path: string, type = "", body: Bytes = new Uint8Array(0)) => {
    const sent = body.length === 0 ? [] : [`Content-Type: ${type}`, `Content-Length: ${body.length}`];
    const head = [`${method} ${path} HTTP/1.1`, "Host: localhost", ...headers, ...sent, "", ""].join("\r\n");
    seeds.push(join(encodeText(head), body));
  };
  for (const kind of ALL_KINDS) {
    const { json, yaml, protobuf } = getVector(kind);
    const collection = formatCollectionPath(kind, NAMESPACE);
    const item = `${collection}/x`;
    const body = encodeText(creatable(json));
    add("POST", collection, "application/json", body);
    add("POST", `${collection}?dryRun=All`, "application/yaml", encodeText(yaml));
    add("PUT", item, "application/vnd.kubernetes.protobuf", fromBase64(protobuf));
    add("GET", `${collection}?limit=2&labelSelector=a%3Db`);
    add("DELETE", `${item}?gracePeriodSeconds=0`);
    add("PATCH", `${item}?fieldManager=m&force=true`, "application/apply-patch+yaml", body);
    for (const [type, patch] of PATCHES) add("PATCH", item, type, encodeText(patch));
  }
  for (
    const path of ["/healthz", "/readyz?verbose", "/version", "/metrics", "/api", "/apis", "/openapi/v2", "/openapi/v3"]
  ) {
    add("GET", path);
  }
  add(
    "DELETE",
    "/api/v1/namespaces/default/configmaps",
    "application/json",
    encodeText('{"propagationPolicy":"Orphan"}'),
  );
  add("POST", formatCollectionPath(ALL_KINDS[0]!, NAMESPACE), "application/json", new Uint8Array(0));
  return seeds;
}

/** The vector as a client would create it, under the name `x`. */
function creatable(json: string): string {
  const object = JSON.parse(json) as { metadata?: Record<string, unknown> };
  object.metadata = { ...object.metadata, name: "x", namespace: NAMESPACE };
  for (const stamped of ["managedFields", "resourceVersion", "uid", "deletionTimestamp", "selfLink"]) {
    delete object.metadata[stamped];
  }
  return JSON.stringify(object);
}

/** A request, parsed as far as possible. */
export interface LooseRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Bytes;
}

/** Splits a request at its first empty line; lines that are not headers are omitted. */
export function readRequest(input: Bytes): LooseRequest {
  const text = new TextDecoder("latin1").decode(input);
  const end = text.indexOf("\r\n\r\n");
  const [line = "", ...lines] = (end < 0 ? text : text.slice(0, end)).split("\r\n");
  const [method = "", path = ""] = line.split(" ");
  const headers = lines.flatMap((header) => {
    const colon = header.indexOf(":");
    return colon < 1 ? [] : [[header.slice(0, colon), header.slice(colon + 1).trim()] as const];
  });
  return { method, path, headers, body: end < 0 ? new Uint8Array(0) : input.subarray(end + 4) };
}

/** Changes the body of a request only, and keeps its length right. */
export function inBody<T extends unknown[]>(
  change: (body: Bytes, ...rest: T) => Bytes | undefined,
): (input: Bytes, ...rest: T) => Bytes | undefined {
  return (input, ...rest) => {
    const end = decodeText(input).indexOf("\r\n\r\n");
    const changed = end < 0 ? undefined : change(input.subarray(end + 4), ...rest);
    if (changed === undefined) return undefined;
    const head = decodeText(input.subarray(0, end + 4)).replace(
      /Content-Length: \d+/,
      `Content-Length: ${changed.length}`,
    );
    return join(encodeText(head), changed);
  };
}
