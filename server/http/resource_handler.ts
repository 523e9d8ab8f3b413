/**
 * Resource requests: finds the resource, checks the route, and calls the handler of the verb. A review is answered here,
 * because it is never stored.
 */
import { formatApiVersion } from "../../core/kube/schema.ts";
import { badRequest, pathNotFound } from "../../core/kube/status.ts";
import { assertAbsent } from "../registry/absent_kinds.ts";
import { createConvertedStorage } from "../registry/converted_storage.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import type { Resource, Review } from "../registry/resource.ts";
import type { Answer } from "./answer.ts";
import { type Exchange, findHeader, getClientAddress } from "./exchange.ts";
import { respondText, respondWire } from "./respond.ts";
import { chooseRepresentation, handleGet, handleList } from "./read_handlers.ts";
import { handleWatch, type WatchDeps } from "./watch_handler.ts";
import { handlePatch } from "./patch_handler.ts";
import type { RequestInfo } from "./request_info.ts";
import { assertRoute, createMethodNotAllowed, type ServedRoute, toMethods } from "./routes.ts";
import {
  handleCreate,
  handleDelete,
  handleDeleteCollection,
  handleUpdate,
  type UpdateDeps,
  withNamespace,
} from "./write_handlers.ts";
import { partialObjectMetadataSchema } from "../../core/kube/kinds/mod.ts";
import { createManagedEndpoint } from "../../core/kube/managed_fields/endpoint.ts";
import { trackUpdate } from "../../core/kube/managed_fields/track_update.ts";
import { formatTime, type KubeObject } from "../../core/kube/meta.ts";
import { withMeta } from "../registry/write.ts";
import { decodeBody, readBody } from "./body.ts";
import { toWire } from "./encoding.ts";
import { formatGoType } from "./known_kinds.ts";
import { createOtherFormError, parseBodyMediaType } from "./negotiation.ts";
import { parseWriteOptions } from "./options.ts";

/** The resources and reviews that the API serves. */
export interface Served {
  readonly resources: readonly Resource[];
  readonly reviews: readonly Review[];
}

const WATCH_BY_PATH = /^\/+apis\/[^/]+\/[^/]+\/watch\//;

/** The dependencies of the handlers of all verbs. */
export type HandlerDeps = UpdateDeps & WatchDeps;

/** Creates the routes of the paths below `/api` and `/apis/<group>`. The routes of discovery must precede them. */
export function createApiRoutes(deps: HandlerDeps, served: Served): readonly ServedRoute[] {
  const resources = new Map(served.resources.map((resource) => [toIndexKey(resource), resource]));
  const reviews = new Map(served.reviews.map((review) => [toIndexKey(review), review]));
  const shown = [...served.resources.filter(({ isHidden }) => isHidden !== true), ...served.reviews];
  const groups = new Set([...served.resources, ...served.reviews].map(({ kind }) => kind.group));
  return [...groups].map((group) => ({
    path: group === "" ? "/api/*" : `/apis/${group}/*`,
    async answer(exchange) {
      const { info } = exchange;
      if (!info.isResourceRequest && !shown.some(({ kind }) => kind.group === group)) return respondUnknown(exchange);
      const key = `${group === "" ? info.apiVersion : `${group}/${info.apiVersion}`}/${info.resource}`;
      const review = reviews.get(key);
      if (review !== undefined) return await answerReview(deps, review, exchange);
      const resource = resources.get(key);
      if (resource !== undefined) return await dispatch(deps, resource, exchange);
      throw pathNotFound();
    },
  }));
}

/** Answers a request for a path that no route has. */
export function respondUnknown(exchange: Exchange): Promise<Answer> {
  return respondText(exchange, 404, "404 page not found\n");
}

/** Creates the check whether a request is for a served resource, because only those become labels of metrics. */
export function createServedCheck({ resources, reviews }: Served): (info: RequestInfo) => boolean {
  const createKey = (group: string, version: string, resource: string, sub = "") =>
    [group, version, resource, sub].join("/");
  const known = new Set([
    ...reviews.map(({ kind }) => createKey(kind.group, kind.version, kind.plural)),
    ...resources.flatMap(({ kind: { group, version, plural }, subresources }) => [
      createKey(group, version, plural),
      ...subresources.map(({ name }) => createKey(group, version, plural, name)),
    ]),
  ]);
  return ({ isResourceRequest, apiGroup, apiVersion, resource, subresource }) =>
    isResourceRequest && known.has(createKey(apiGroup, apiVersion, resource, subresource));
}

function answerReview(deps: UpdateDeps, review: Review, exchange: Exchange): Promise<Answer> {
  const { info } = exchange;
  const scoped = review.kind.namespaced === info.hasNamespace;
  // `/watch/…` is authorized as a watch, and the permission to watch must not allow reviews for other users.
  if (!scoped || info.parts.length !== 1 || WATCH_BY_PATH.test(info.path)) throw pathNotFound();
  assertRoute(exchange, ["POST"]);
  return handleReview(deps, review, exchange);
}

async function dispatch(served: HandlerDeps, resource: Resource, exchange: Exchange): Promise<Answer> {
  const { conversion } = resource;
  const deps = conversion === undefined
    ? served
    : { ...served, storage: createConvertedStorage(served.storage, conversion) };
  const { info } = exchange;
  if (!isServedPath(resource, exchange)) throw pathNotFound();
  assertRoute(exchange, listMethods(resource, exchange));
  const [, name = "", ...below] = info.parts;
  if (name === "" && below.length > 0) throw badRequest("name must be provided");
  const target: Target = {
    resource,
    subresource: info.subresource,
    // The URL of a Namespace has its name both as the name and as the namespace.
    namespace: resource.kind.namespaced ? info.namespace : "",
    name,
    user: exchange.user,
    // In-process clients have no address.
    ...(exchange.caller.user === undefined ? { address: getClientAddress(exchange.caller) } : {}),
    userAgent: findHeader(exchange, "user-agent") ?? "",
    onWarning: (text) => exchange.warnings.add(text),
  };
  if (resource.isAbsent === true) await assertAbsent(deps.storage, resource);
  switch (info.verb) {
    case "list":
      return handleList(deps, target, exchange);
    case "watch":
      return handleWatch(deps, target, exchange);
    case "get":
      return handleGet(deps, target, exchange);
    case "create":
      return handleCreate(deps, target, exchange);
    case "update":
      return handleUpdate(deps, target, exchange);
    case "patch":
      return handlePatch(deps, target, exchange);
    case "delete":
      return handleDelete(deps, target, exchange);
    case "deletecollection":
      return handleDeleteCollection(deps, target, exchange);
    default:
      throw createMethodNotAllowed();
  }
}

/** Whether the path fits the resource: its scope, a known subresource, and nothing after it. */
function isServedPath(resource: Resource, { info }: Exchange): boolean {
  if (info.parts.length > 3) return false;
  if (info.verb === "proxy" || (info.subresource !== "" && info.verb === "watch")) return false;
  if (info.subresource !== "" && !resource.subresources.some((sub) => sub.name === info.subresource)) return false;
  // A path without a namespace exists only for the collection of all namespaces.
  return resource.kind.namespaced ? info.hasNamespace || info.parts.length === 1 : !info.hasNamespace;
}

function listMethods(resource: Resource, { info }: Exchange): readonly string[] {
  if (info.verb === "watch" || (resource.kind.namespaced && !info.hasNamespace)) return ["GET"];
  if (info.parts.length === 1) return toMethods("collection", resource.verbs);
  const subresource = resource.subresources.find((candidate) => candidate.name === info.subresource);
  return toMethods("item", info.subresource === "" ? resource.verbs : subresource?.verbs ?? []);
}

function toIndexKey(served: { readonly kind: Resource["kind"] }): string {
  return `${formatApiVersion(served.kind)}/${served.kind.plural}`;
}

/** Answers a POST of a review with 201. Its metadata is handled like that of any other creation. */
async function handleReview(deps: RegistryDeps, review: Review, exchange: Exchange): Promise<Answer> {
  const { kind } = review;
  const representation = chooseRepresentation(exchange, { table: false, partial: true, serverVersion: "v1" });
  const mediaType = parseBodyMediaType(findHeader(exchange, "content-type"));
  const bytes = await readBody(exchange);
  const options = parseWriteOptions("create", exchange.query, findHeader(exchange, "user-agent") ?? "");
  const now = deps.clock.now();
  const sent = decodeBody(exchange, kind, mediaType, bytes, options.fieldValidation);
  exchange.audit?.requestObject(kind, sent);
  const posted = placeInScope(exchange, sent);
  const author = { manager: options.fieldManager, time: formatTime(now) };
  const managedFields = trackUpdate(createManagedEndpoint(kind, "", []), undefined, posted, author);
  const { namespace } = exchange.info;
  const answer = await review.answer(withMeta(posted, { managedFields }), { user: exchange.user, namespace, now });
  if (representation.as === "PartialObjectMetadataList") {
    throw createOtherFormError(representation.as, formatGoType(kind));
  }
  if (representation.as !== "object") {
    const wire = {
      apiVersion: `meta.k8s.io/${representation.metaVersion}`,
      kind: "PartialObjectMetadata",
      schema: partialObjectMetadataSchema,
    };
    return respondWire(exchange, 201, wire, { metadata: answer.metadata }, representation);
  }
  return respondWire(exchange, 201, toWire(kind), answer, representation);
}

/** Removes system fields and sets the namespace of the request. Throws StatusError 400 for another namespace. */
function placeInScope({ info }: Exchange, posted: KubeObject): KubeObject {
  return withMeta(withNamespace(info, posted), {
    selfLink: undefined,
    uid: undefined,
    creationTimestamp: undefined,
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
  });
}
