/** Resource requests: finds the resource, checks the verb, and hands the request to its verb. */
import { apiVersionOf } from "../../core/kube/schema.ts";
import { methodNotSupported } from "../../core/kube/status.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import type { Resource, Review } from "../registry/resource.ts";
import type { Exchange } from "./exchange.ts";
import { respondText } from "./respond.ts";
import { handleGet, handleList, handleWatch } from "./read_handlers.ts";
import { handleReview } from "./review_handler.ts";
import { handleCreate, handleDelete, handleDeleteCollection, handlePatch, handleUpdate } from "./write_handlers.ts";

/** Everything the API serves. */
export interface Served {
  readonly resources: readonly Resource[];
  readonly reviews: readonly Review[];
}

/** Handles one resource request. */
export type ResourceHandler = (exchange: Exchange) => Promise<Response>;

/** Builds the handler of `/api/…` and `/apis/…` below a version. */
export function createResourceHandler(deps: RegistryDeps, served: Served): ResourceHandler {
  const resources = new Map(served.resources.map((resource) => [indexKey(resource), resource]));
  const reviews = new Map(served.reviews.map((review) => [indexKey(review), review]));
  return (exchange) => {
    const { info } = exchange;
    const key = `${info.apiGroup === "" ? info.apiVersion : `${info.apiGroup}/${info.apiVersion}`}/${info.resource}`;
    const review = reviews.get(key);
    if (review !== undefined) return answerReview(deps, review, exchange);
    const resource = resources.get(key);
    if (resource === undefined || !isServedPath(resource, exchange)) return notServed(exchange);
    return dispatch(deps, resource, exchange);
  };
}

function answerReview(deps: RegistryDeps, review: Review, exchange: Exchange): Promise<Response> {
  const { info } = exchange;
  const scoped = review.kind.namespaced === (info.namespace !== "");
  if (!scoped || info.parts.length !== 1) return notServed(exchange);
  if (exchange.request.method !== "POST") throw methodNotSupported(review.kind, info.verb);
  return handleReview(deps, review, exchange);
}

function dispatch(deps: RegistryDeps, resource: Resource, exchange: Exchange): Promise<Response> {
  const { info, request } = exchange;
  const target: Target = {
    resource,
    subresource: info.subresource,
    // A namespace stands in its own URL as name and as scope.
    namespace: resource.kind.namespaced ? info.namespace : "",
    name: info.parts[1] ?? "",
    user: exchange.user,
  };
  const verbs = info.subresource === ""
    ? resource.verbs
    : resource.subresources.find((candidate) => candidate.name === info.subresource)?.verbs ?? [];
  if (!verbs.includes(info.verb)) throw methodNotSupported(resource.kind, info.verb);
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
      throw methodNotSupported(resource.kind, request.method.toLowerCase());
  }
}

/** The path has the form of the resource: scope, known subresource, nothing behind it. */
function isServedPath(resource: Resource, exchange: Exchange): boolean {
  const { info, request } = exchange;
  if (info.parts.length > 3) return false;
  if (info.subresource !== "" && !resource.subresources.some((sub) => sub.name === info.subresource)) return false;
  const isNamespace = resource.kind.kind === "Namespace";
  if (!resource.kind.namespaced) return isNamespace || info.namespace === "";
  if (info.namespace !== "") return true;
  // All namespaces at once: only collections can be read so.
  return info.parts.length === 1 && request.method === "GET";
}

function notServed(exchange: Exchange): Promise<Response> {
  return respondText(exchange, 404, "404 page not found\n");
}

function indexKey(served: { readonly kind: Resource["kind"] }): string {
  return `${apiVersionOf(served.kind)}/${served.kind.plural}`;
}
