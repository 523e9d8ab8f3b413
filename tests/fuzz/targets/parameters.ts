/** The parts of a request's head: its target, the options in its query, Accept and Content-Type. */
import { Buffer } from "node:buffer";
import { assertHolds, attempt, refusalOutcome } from "../oracle.ts";
import { restructureJson } from "../structure/json.ts";
import { encodeText, type Target } from "../target.ts";
import { parseDuration } from "../../../core/lib/duration.ts";
import type { Result } from "../../../core/lib/result.ts";
import {
  assertStreamable,
  negotiate,
  negotiateError,
  negotiateTransformation,
  parseBodyMediaType,
  parsePatchType,
} from "../../../server/http/negotiation.ts";
import {
  assertDeleteOptions,
  parseCollectionOptions,
  parseDeleteOptions,
  parseWriteOptions,
} from "../../../server/http/options.ts";
import { parseRequestInfo, parseTarget, toAttributes } from "../../../server/http/request_info.ts";
import { MAX_HEAD_BYTES, MAX_TARGET_LENGTH } from "../../../server/http/limits.ts";
import { parseContinue } from "../../../server/registry/read.ts";
import { JSON_WORDS } from "../inputs/seeds.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "WATCH"];

/** `target`: method and request target. */
export const requestTarget: Target = {
  seeds: [
    "/api/v1/namespaces/a/secrets/b",
    "/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval?dryRun=All",
    "/api/v1/watch/nodes/a?fieldSelector=metadata.name%3Da&watch=1",
    "/api/v1/namespaces/a/status",
    "https://x:6443/healthz/../livez?verbose",
    "/openapi/v3/apis/%2e%2e/v1?hash=A",
    "*",
    "/%ff%2f%00",
  ].map(encodeText),
  words: ["/.", "/..", "%2e%2e", "%zz", "a=b&", "watch", "namespaces/"],
  maxBytes: MAX_TARGET_LENGTH,
  run(input) {
    try {
      // A request line is Latin-1.
      const { path = "", query } = parseTarget(latin1(input));
      const info = parseRequestInfo(METHODS[input.length % METHODS.length]!, path, query);
      toAttributes(info);
      return `${info.verb} ${info.isResourceRequest} ${info.parts.length}`;
    } catch (error) {
      return refusalOutcome(error);
    }
  },
};

/** `query`: options of every verb, and the continue token. */
export const query: Target = {
  seeds: [
    "dryRun=All&fieldManager=m&fieldValidation=Strict&force=true",
    "labelSelector=a%3Db&fieldSelector=metadata.name%3Dx&limit=500&continue=e30&resourceVersion=0",
    "watch=1&timeoutSeconds=300&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
    "gracePeriodSeconds=0&orphanDependents=false&propagationPolicy=Background",
    "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0&limit=1",
    "pretty=true&timeout=1s",
  ].map(encodeText),
  words: ["dryRun=All&", "limit=", "continue=", "timeoutSeconds=", "timeout=1", "a,b", "eyJ2Ijo"],
  maxBytes: MAX_TARGET_LENGTH,
  run(input) {
    const { query } = parseTarget(`/?${latin1(input)}`);
    const attempts = [
      () => parseWriteOptions("create", query, "kubectl/v1"),
      () => parseWriteOptions("apply", query, latin1(input)),
      () => parseCollectionOptions(query, false),
      () => parseCollectionOptions(query, true),
      () => assertDeleteOptions(parseDeleteOptions(query), false),
      () => parseContinue(query.get("continue") ?? ""),
      () => assertFinite(parseDuration(query.get("timeout") ?? "")),
    ];
    return attempts.map(attempt).join(" ").slice(0, 200);
  },
};

/** `continue`: the JSON inside a continue token. */
export const continueToken: Target = {
  seeds: ['{"v":"meta.k8s.io/v1","rv":1,"start":"/a\\u0000"}', '{"v":"meta.k8s.io/v1","rv":-1,"start":"a/b"}'].map(
    encodeText,
  ),
  words: JSON_WORDS,
  maxBytes: MAX_TARGET_LENGTH,
  restructure: restructureJson,
  run: (input) => attempt(() => parseContinue(Buffer.from(input).toString("base64url"))),
};

export const accept: Target = {
  seeds: [
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
    "application/vnd.kubernetes.protobuf, */*;q=0.1",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
    "text/html,application/xhtml+xml;q=0.9,image/webp,*/*;q=0.8",
    "application/yaml;stream=watch;pretty=1",
    "*",
  ].map(encodeText),
  words: ["*/*", "*,", "a/b,", "application/json,", "application/*;q=0.N,", ";q=", "0.5", "a/b;q=0.N,", "as=Table"],
  maxBytes: MAX_HEAD_BYTES,
  run(input) {
    const header = latin1(input);
    const none = new URLSearchParams();
    const discovery = { g: "apidiscovery.k8s.io", v: "v2", as: "APIGroupDiscoveryList" };
    const readers = [
      () => negotiate(header, none, "", { table: true, partial: true }),
      () => assertStreamable(negotiate(header, none, "curl", { table: true, partial: true, serverVersion: "v1" })),
      () => negotiateError(header, none, ""),
      () => negotiateTransformation(header, none, "", discovery),
    ];
    // Each input is a complete header, because a client sends the header once.
    return attempt(readers[input.length % readers.length]!);
  },
};

/** `content_type`: the Content-Type of bodies and patches. */
export const contentType: Target = {
  seeds: [
    "application/json",
    "application/json; charset=utf-8",
    'application/yaml;a="b\\"c";d=e',
    "application/vnd.kubernetes.protobuf",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml; x=y",
  ].map(encodeText),
  words: ['\\"', "a=b;", 'a="b";', "a", ";;", "; ", "application/json;", "application/json;a "],
  maxBytes: MAX_HEAD_BYTES,
  run(input) {
    const header = latin1(input);
    return [() => parseBodyMediaType(header), () => parsePatchType(header)].map(attempt).join(" ");
  },
};

function assertFinite(duration: Result<number, string>): void {
  assertHolds(!duration.ok || Number.isFinite(duration.value), "a duration is not a number");
}

/** Decodes the bytes of a head from Latin-1, as Node does. */
function latin1(input: Uint8Array): string {
  return new TextDecoder("latin1").decode(input);
}
