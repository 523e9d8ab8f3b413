/**
 * What the router of kube-apiserver (go-restful) decides before any handler runs: which methods a path has, which
 * bodies and answers it knows. Its refusals have texts of their own.
 */
import { createFailureStatus, StatusError } from "../../core/kube/status_error.ts";
import type { RequestInfo } from "./request_info.ts";
import type { Exchange } from "./exchange.ts";
import { findHeader } from "./exchange.ts";
import { MEDIA_TYPES } from "./negotiation.ts";

/** Content types of patches; others are refused before they are read. */
const PATCH_TYPES: readonly string[] = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
];

/** A list can also be watched. */
const STREAM_TYPES: readonly string[] = [
  "application/json;stream=watch",
  "application/vnd.kubernetes.protobuf;stream=watch",
];

/** The method of each verb on the path that it belongs to. */
const VERB_METHODS: Readonly<Record<"collection" | "item", Readonly<Record<string, string>>>> = {
  collection: { create: "POST", list: "GET", deletecollection: "DELETE" },
  item: { get: "GET", update: "PUT", patch: "PATCH", delete: "DELETE" },
};

/** The path is served below a known version, but not like this. */
export function methodNotAllowed(): StatusError {
  const message = "the server does not allow this method on the requested resource";
  return new StatusError(createFailureStatus(405, "MethodNotAllowed", message, {}));
}

/** Throws StatusError 405, 415 or 406 when no route of a path fits. `types` are those of its answers. */
export function assertRoute(
  exchange: Exchange,
  methods: readonly string[],
  types: readonly string[] = MEDIA_TYPES,
): void {
  const { method } = exchange.request;
  if (!methods.includes(method)) throw methodNotAllowed();
  if (method === "PATCH") assertPatchType(findHeader(exchange, "content-type"));
  const streams = isCollectionRead(exchange.info, method) ? STREAM_TYPES : [];
  assertProducible(findHeader(exchange, "accept"), types, streams);
}

/** The methods of a collection or item, from the verbs that a resource has. */
export function toMethods(shape: "collection" | "item", verbs: readonly string[]): readonly string[] {
  const table = VERB_METHODS[shape];
  return verbs.map((verb) => table[verb]).filter((method) => method !== undefined);
}

/** A subresource without a name is authorized as a list, and is none. */
function isCollectionRead({ isResourceRequest, verb, subresource }: RequestInfo, method: string): boolean {
  return isResourceRequest && method === "GET" && subresource === "" && (verb === "list" || verb === "watch");
}

function assertPatchType(contentType: string | undefined): void {
  if (PATCH_TYPES.includes(parseMediaName(contentType ?? ""))) return;
  throw new StatusError(createFailureStatus(415, "UnsupportedMediaType", "415: Unsupported Media Type", {}));
}

/** Parameters and quality do not count here: negotiation looks at them later. */
function assertProducible(accept: string | undefined, types: readonly string[], streams: readonly string[]): void {
  if (accept === undefined || accept === "") return;
  const names = accept.split(",").map((clause) => clause.split(";")[0]!.trim());
  if (names.some((name) => name === "*/*" || types.includes(name))) return;
  const message = `406: Not Acceptable\n\nAvailable representations: ${[...types, ...streams].join(", ")}`;
  throw new StatusError(createFailureStatus(406, "NotAcceptable", message, {}));
}

function parseMediaName(clause: string): string {
  return clause.split(";")[0]!.trim().toLowerCase();
}
