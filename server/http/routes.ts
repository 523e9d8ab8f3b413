/**
 * Routes, and the checks of kube-apiserver's router (go-restful) before any handler runs: the methods of a path, and
 * the media types of its bodies and answers. Its refusals differ from those of the handlers.
 */
import { createFailureStatus, StatusError } from "../../core/kube/status/status.ts";
import type { Answer } from "./answer.ts";
import type { RequestInfo } from "./request_info.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { findPatchType, MEDIA_TYPES } from "./negotiation.ts";

export interface ServedRoute {
  /** The decoded path; `/*` at its end matches every path below. */
  readonly path: string;
  /** Whether the document at `/` lists the path. */
  readonly isListed?: boolean;
  /** Whether the path is a label in metrics. The labels of resource requests are those of the resource. */
  readonly isLabel?: boolean;
  /** Answers a request of any method. Throws StatusError. */
  answer(exchange: Exchange): Promise<Answer>;
}

/** The media types of a watch, which every list route also produces. */
const STREAM_TYPES: readonly string[] = [
  "application/json;stream=watch",
  "application/vnd.kubernetes.protobuf;stream=watch",
];

/** The method of each verb, on the path of a collection or an item. */
const VERB_METHODS: Readonly<Record<"collection" | "item", Readonly<Record<string, string>>>> = {
  collection: { create: "POST", list: "GET", deletecollection: "DELETE" },
  item: { get: "GET", update: "PUT", patch: "PATCH", delete: "DELETE" },
};

/** Creates the 405 for a path that is served, but not with this method. */
export function createMethodNotAllowed(): StatusError {
  const message = "the server does not allow this method on the requested resource";
  return new StatusError(createFailureStatus(405, "MethodNotAllowed", message, {}));
}

/** Throws StatusError 405, 415 or 406 when no route of a path matches. `types` are the media types of its answers. */
export function assertRoute(
  exchange: Exchange,
  methods: readonly string[],
  types: readonly string[] = MEDIA_TYPES,
): void {
  const { method } = exchange.incoming;
  if (!methods.includes(method)) throw createMethodNotAllowed();
  if (method === "PATCH") assertPatchType(findHeader(exchange, "content-type"));
  const streams = isCollectionRead(exchange.info, method) ? STREAM_TYPES : [];
  assertProducible(findHeader(exchange, "accept"), types, streams);
}

export function toMethods(shape: "collection" | "item", verbs: readonly string[]): readonly string[] {
  const table = VERB_METHODS[shape];
  return verbs.map((verb) => table[verb]).filter((method) => method !== undefined);
}

/** Whether the request reads a collection. A subresource without a name is authorized as a list but is not one. */
function isCollectionRead({ isResourceRequest, verb, subresource }: RequestInfo, method: string): boolean {
  return isResourceRequest && method === "GET" && subresource === "" && (verb === "list" || verb === "watch");
}

function assertPatchType(contentType: string | undefined): void {
  if (findPatchType(contentType) !== undefined) return;
  throw new StatusError(createFailureStatus(415, "UnsupportedMediaType", "415: Unsupported Media Type", {}));
}

/** Parameters and quality are ignored here; negotiation checks them later. */
function assertProducible(accept: string | undefined, types: readonly string[], streams: readonly string[]): void {
  if (accept === undefined || accept === "") return;
  const names = accept.split(",").map((clause) => clause.split(";")[0]!.trim());
  if (names.some((name) => name === "*/*" || types.includes(name))) return;
  const message = `406: Not Acceptable\n\nAvailable representations: ${[...types, ...streams].join(", ")}`;
  throw new StatusError(createFailureStatus(406, "NotAcceptable", message, {}));
}
