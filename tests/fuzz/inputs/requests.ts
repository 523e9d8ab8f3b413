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

/** Headers that change how a request is read. */
const HEADERS: readonly (readonly [string, ...string[]])[] = [
  ["Host", "a", "a b"],
  ["Content-Length", "0", "-1", "99999999999999999999", "5\r\nContent-Length: 6"],
  ["Transfer-Encoding", "chunked", "x, chunked"],
  ["Expect", "100-continue", "x"],
  ["Upgrade", "websocket\r\nConnection: Upgrade", "h2c\r\nConnection: Upgrade, HTTP2-Settings"],
  ["Connection", "close"],
  ["Content-Encoding", "gzip"],
  ["Accept-Encoding", "gzip"],
  ["Accept", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf", "application/yaml"],
  ["Content-Type", "application/yaml", "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf"],
  ["Impersonate-User", "a"],
  ["Impersonate-Group", "system:masters"],
  ["Impersonate-Extra-%zz", "a"],
  ["Authorization", "Basic eDp5", "Bearer x"],
  ["X-N", "a"],
  ["Audit-Id", "\u00e9"],
  ["Range", "bytes=0-0,1-N"],
  ["If-None-Match", "*"],
];
const QUERIES: readonly string[] = [
  ...["watch=1", "watch=1&timeoutSeconds=1", "limit=1&continue=e30", "dryRun=All", "fieldManager=a&force=1"],
  ...["fieldValidation=Strict", "labelSelector=a%20in%20(b", "resourceVersion=999999999", "timeout=1s"],
  "resourceVersion=0&resourceVersionMatch=Exact",
];

export const REQUEST_WORDS: readonly string[] = [
  ...["\r\n\r\n", "\r\n5\r\nhello\r\n0\r\n\r\n", "\r\nffffffffffffffff\r\n", "\r\n-1\r\n"],
  ...["1.1", "1.0", "9.9"].map((version) => `HTTP/${version}`),
  ...["GET", "POST", "PATCH", "DELETE", "CONNECT", "OPTIONS *"].map((method) => `${method} `),
  ...HEADERS.flatMap(([name, ...values]) => values.map((value) => `${name}: ${value}\r\n`)),
  ...QUERIES.map((query) => `?${query}`),
  ...["/status", "/approval", "/finalize", "/..", "\u00ff"],
  ...JSON_WORDS,
];

/** Returns requests with every verb for every kind, patches of every type, and paths without a resource. */
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

/** Returns a vector as a client would create it, with the name `x`. */
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

/** Changes only the body of a request, and keeps its length correct. */
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
