/** Resource requests: finds the resource, checks the route, and calls the handler of the verb. */
import { formatApiVersion } from "../../core/kube/schema.ts";
import { badRequest, pathNotFound } from "../../core/kube/status.ts";
import { assertAbsent } from "../registry/absent_kinds.ts";
import { createConvertedStorage } from "../registry/converted_storage.ts";
import type { Target } from "../registry/registry.ts";
import type { Resource, Review } from "../registry/resource.ts";
import type { Answer } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { respondText } from "./respond.ts";
import { handleGet, handleList } from "./read_handlers.ts";
import { handleWatch, type WatchDeps } from "./watch_handler.ts";
import { handlePatch } from "./patch_handler.ts";
import { handleReview } from "./review_handler.ts";
import { assertRoute, methodNotAllowed, toMethods } from "./routes.ts";
import { handleCreate, handleDelete, handleDeleteCollection, handleUpdate, type UpdateDeps } from "./write_handlers.ts";

/** The resources and reviews that the API serves. */
export interface Served {
  readonly resources: readonly Resource[];
  readonly reviews: readonly Review[];
}

const WATCH_BY_PATH = /^\/+apis\/[^/]+\/[^/]+\/watch\//;

/** Answers one resource request. */
export type ResourceHandler = (exchange: Exchange) => Promise<Answer>;

/** The dependencies of the handlers of all verbs. */
export type HandlerDeps = UpdateDeps & WatchDeps;

/** Creates the handler of the paths below `/api/<version>` and `/apis/<group>/<version>`. */
export function createResourceHandler(deps: HandlerDeps, served: Served): ResourceHandler {
  const resources = new Map(served.resources.map((resource) => [indexKey(resource), resource]));
  const reviews = new Map(served.reviews.map((review) => [indexKey(review), review]));
  const groups = new Set([...served.resources, ...served.reviews].map(({ kind }) => kind.group));
  return (exchange) => {
    const { info } = exchange;
    // Such a path is authorized like the resource, but kube-apiserver's router does not know it.
    const isUnrouted = info.path.startsWith("//") || (info.apiGroup === "" && info.path.startsWith("/apis/"));
    if (isUnrouted) return respondText(exchange, 404, "404 page not found\n");
    const key = `${info.apiGroup === "" ? info.apiVersion : `${info.apiGroup}/${info.apiVersion}`}/${info.resource}`;
    const review = reviews.get(key);
    if (review !== undefined) return answerReview(deps, review, exchange);
    const resource = resources.get(key);
    if (resource !== undefined) return dispatch(deps, resource, exchange);
    if (!groups.has(info.apiGroup)) return respondText(exchange, 404, "404 page not found\n");
    throw pathNotFound();
  };
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
  assertRoute(exchange, methodsOfPath(resource, exchange));
  const [, name = "", ...below] = info.parts;
  if (name === "" && below.length > 0) throw badRequest("name must be provided");
  const target: Target = {
    resource,
    subresource: info.subresource,
    // The URL of a Namespace has its name both as the name and as the namespace.
    namespace: resource.kind.namespaced ? info.namespace : "",
    name,
    user: exchange.user,
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
      throw methodNotAllowed();
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

function methodsOfPath(resource: Resource, { info }: Exchange): readonly string[] {
  if (info.verb === "watch" || (resource.kind.namespaced && !info.hasNamespace)) return ["GET"];
  if (info.parts.length === 1) return toMethods("collection", resource.verbs);
  const subresource = resource.subresources.find((candidate) => candidate.name === info.subresource);
  return toMethods("item", info.subresource === "" ? resource.verbs : subresource?.verbs ?? []);
}

function indexKey(served: { readonly kind: Resource["kind"] }): string {
  return `${formatApiVersion(served.kind)}/${served.kind.plural}`;
}
