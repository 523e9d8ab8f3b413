/**
 * Resource requests: finds the resource, checks the route, and calls the handler of the verb. This file also handles
 * POSTs whose object is returned but not stored: reviews, and subresources such as `serviceaccounts/token`.
 */
import { formatApiVersion, type Kind } from "../../core/kube/schema.ts";
import { badRequest, pathNotFound } from "../../core/kube/status/status.ts";
import { createManagedEndpoint, trackUpdate } from "../../core/kube/apply/track_update.ts";
import { formatTime, type KubeObject } from "../../core/kube/meta.ts";
import { assertAbsent } from "../registry/absent_kinds.ts";
import {
  admitMutation,
  assertAdmitted,
  createConvertedStorage,
  type RegistryDeps,
  type Target,
  toAdmissionRequest,
} from "../registry/registry.ts";
import { findSubresource, type PostedSubresource, type Resource, type Review } from "../registry/resource.ts";
import { withMeta } from "../registry/write.ts";
import type { Answer } from "./answer.ts";
import { type Exchange, findHeader, getClientAddress, getUserAgent } from "./exchange.ts";
import { respondText, respondWire, toWire } from "./respond.ts";
import { chooseRepresentation, handleGet, handleList, respondPartial } from "./read_handlers.ts";
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
  withoutDuplicateOwners,
  withoutSystemFields,
} from "./write_handlers.ts";
import { decodeBody, readSent } from "./body.ts";
import { formatGoType } from "./known_kinds.ts";
import { createOtherFormError, parseBodyMediaType, type Representation } from "./negotiation.ts";
import { parseWriteOptions } from "./options.ts";

/** The resources and reviews that the API serves. */
export interface Served {
  readonly resources: readonly Resource[];
  readonly reviews: readonly Review[];
}

const WATCH_BY_PATH = /^\/+apis\/[^/]+\/[^/]+\/watch\//;

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

/** Answers a request for a path that matches no route. */
export function respondUnknown(exchange: Exchange): Promise<Answer> {
  return respondText(exchange, 404, "404 page not found\n");
}

/**
 * Creates the check whether a resource request is for a served resource. Only served resources become labels of
 * metrics.
 */
export function createServedCheck({ resources, reviews }: Served): (info: RequestInfo) => boolean {
  const createKey = (group: string, version: string, resource: string, sub = "") =>
    [group, version, resource, sub].join("/");
  const known = new Set([
    ...reviews.map(({ kind }) => createKey(kind.group, kind.version, kind.plural)),
    ...resources.flatMap(({ kind: { group, version, plural }, subresources = [], postedSubresources = [] }) => [
      createKey(group, version, plural),
      ...[...subresources, ...postedSubresources].map(({ name }) => createKey(group, version, plural, name)),
    ]),
  ]);
  return ({ apiGroup, apiVersion, resource, subresource }) =>
    known.has(createKey(apiGroup, apiVersion, resource, subresource));
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
    // In the URL of a Namespace, its name counts as both the name and the namespace.
    namespace: resource.kind.namespaced ? info.namespace : "",
    name,
    user: exchange.user,
    address: findAddress(exchange),
    userAgent: getUserAgent(exchange),
    onWarning: (text) => exchange.warnings.add(text),
    pause: exchange.pause,
  };
  if (resource.isAbsent === true) await assertAbsent(deps.storage, resource);
  switch (info.verb) {
    case "list":
      return handleList(deps, target, exchange);
    case "watch":
      return handleWatch(deps, target, exchange);
    case "get":
      return handleGet(deps, target, exchange);
    case "create": {
      const posted = findPosted(resource, info);
      return posted === undefined ? handleCreate(deps, target, exchange) : handlePosted(deps, target, posted, exchange);
    }
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

/** Whether the path fits the resource: it has the right scope, a known subresource or none, and nothing after it. */
function isServedPath(resource: Resource, { info }: Exchange): boolean {
  if (info.parts.length > 3) return false;
  if (info.verb === "proxy" || (info.subresource !== "" && info.verb === "watch")) return false;
  const isKnown = resource.subresources?.some(({ name }) => name === info.subresource) ||
    findPosted(resource, info) !== undefined;
  if (info.subresource !== "" && !isKnown) return false;
  // A path without a namespace exists only for the collection of all namespaces.
  return resource.kind.namespaced ? info.hasNamespace || info.parts.length === 1 : !info.hasNamespace;
}

function listMethods(resource: Resource, { info }: Exchange): readonly string[] {
  if (info.verb === "watch" || (resource.kind.namespaced && !info.hasNamespace)) return ["GET"];
  if (info.parts.length === 1) return toMethods("collection", resource.verbs);
  if (findPosted(resource, info) !== undefined) return ["POST"];
  const subresource = findSubresource({ resource, subresource: info.subresource });
  return toMethods("item", info.subresource === "" ? resource.verbs : subresource?.verbs ?? []);
}

/** Finds the address of the client; undefined for an in-process client. */
function findAddress({ incoming }: Exchange): string | undefined {
  return incoming.user === undefined ? getClientAddress(incoming) : undefined;
}

function findPosted(resource: Resource, { subresource }: RequestInfo): PostedSubresource | undefined {
  return resource.postedSubresources?.find(({ name }) => name === subresource);
}

function toIndexKey(served: { readonly kind: Resource["kind"] }): string {
  return `${formatApiVersion(served.kind)}/${served.kind.plural}`;
}

/** Answers a POST of a review with 201. Its metadata is handled like that of any other creation. */
async function handleReview(deps: RegistryDeps, review: Review, exchange: Exchange): Promise<Answer> {
  const { kind, maxBodyBytes } = review;
  const address = findAddress(exchange);
  if (address !== undefined) review.admit?.(address);
  const { object: sent, representation, fieldManager, isDryRun } = await readPosted(
    exchange,
    kind,
    (object) => object,
    maxBodyBytes,
  );
  const { user, info: { namespace }, audit } = exchange;
  const placed = withoutSystemFields(withNamespace({ namespace }, sent));
  const now = deps.clock.now();
  const answer = await review.answer(track(placed, kind, "", fieldManager, now), {
    user,
    namespace,
    now,
    address,
    isDryRun,
    annotate: (key, value) => audit?.annotate({ [key]: value }),
  });
  return respondPosted(exchange, kind, answer, representation);
}

/** Answers a POST to a subresource with 201. The client may specify the uid of the object. */
async function handlePosted(
  deps: RegistryDeps,
  target: Target,
  posted: PostedSubresource,
  exchange: Exchange,
): Promise<Answer> {
  const { kind } = posted;
  const read = await readPosted(exchange, kind, (object) => posted.applyDefaults(object));
  const placed = withoutDuplicateOwners(exchange, withNamespace(target, read.object), false);
  const now = deps.clock.now();
  const tracked = track(placed, kind, posted.name, read.fieldManager, now);
  const request = toAdmissionRequest(target, "CREATE");
  const admitted = await admitMutation(deps, { ...request, object: tracked });
  const { user, name, namespace } = target;
  const answer = await posted.answer(admitted, {
    user,
    name,
    namespace,
    now,
    address: target.address,
    isDryRun: read.isDryRun,
    validate: (object) => assertAdmitted(deps, { ...request, object }),
    warn: (text) => exchange.warnings.add(text),
    annotate: (key, value) => exchange.audit?.annotate({ [key]: value }),
  });
  return respondPosted(exchange, kind, answer, read.representation);
}

async function readPosted(
  exchange: Exchange,
  kind: Kind,
  applyDefaults: (object: KubeObject) => KubeObject,
  maxBodyBytes?: number,
) {
  const representation = chooseRepresentation(exchange, { table: false, partial: true, serverVersion: "v1" });
  const mediaType = parseBodyMediaType(findHeader(exchange, "content-type"));
  const body = await readSent(exchange, maxBodyBytes);
  const { dryRun: isDryRun, fieldManager, fieldValidation } = parseWriteOptions(
    "create",
    exchange.query,
    getUserAgent(exchange),
  );
  const object = applyDefaults(decodeBody(exchange, kind, mediaType, body, fieldValidation));
  exchange.audit?.requestObject(kind, object);
  await exchange.pause();
  return { object, representation, fieldManager, isDryRun };
}

function track(object: KubeObject, kind: Kind, subresource: string, manager: string, now: Date): KubeObject {
  const author = { manager, time: formatTime(now) };
  return withMeta(object, {
    managedFields: trackUpdate(createManagedEndpoint(kind, subresource, []), undefined, object, author),
  });
}

function respondPosted(
  exchange: Exchange,
  kind: Kind,
  answer: KubeObject,
  representation: Representation,
): Promise<Answer> {
  if (representation.as === "PartialObjectMetadataList") {
    throw createOtherFormError(representation.as, formatGoType(kind));
  }
  if (representation.as === "object") return respondWire(exchange, 201, toWire(kind), answer, representation);
  return respondPartial(exchange, 201, answer, representation);
}
