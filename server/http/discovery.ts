/**
 * Discovery: which groups, versions, resources and verbs there are, in the aggregated form that clients ask for first
 * and in the older one (`/api`, `/apis`, `/apis/<group>`, `/apis/<group>/<version>`).
 */
import { createHash } from "node:crypto";
import {
  apiGroupListSchema,
  apiGroupSchema,
  apiResourceListSchema,
  apiVersionsSchema,
} from "../../core/kube/kinds/mod.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { pathNotFound } from "../../core/kube/status.ts";
import type { Exchange } from "./exchange.ts";
import { headerOf } from "./exchange.ts";
import { parseAccept, type Representation } from "./negotiation.ts";
import { representationFor } from "./read_handlers.ts";
import { baseHeaders, respondBytes, respondWire } from "./respond.ts";
import { assertRoute } from "./routes.ts";

/** What discovery must know of a resource. */
export interface DiscoveredResource {
  readonly kind: Kind;
  readonly verbs: readonly string[];
  readonly subresources: readonly { readonly name: string; readonly verbs: readonly string[] }[];
  /** Reviews are not stored and have no storage version. */
  readonly stored: boolean;
}

/** Answers every discovery path; undefined when the path is none, or its group is unknown. Throws StatusError 404, 405, 406. */
export type DiscoveryHandler = (exchange: Exchange) => Promise<Response> | undefined;

const AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/** Upstream's order of groups in discovery is by priority; these are its priorities for what is served here. */
const GROUP_ORDER: readonly string[] = [
  "",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "certificates.k8s.io",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "coordination.k8s.io",
];

/** Builds the handler over everything that is served. */
export function createDiscovery(
  resources: readonly DiscoveredResource[],
  serverAddress: () => string,
): DiscoveryHandler {
  const groups = GROUP_ORDER.filter((group) => resources.some(({ kind }) => kind.group === group));
  const inGroup = (group: string) => resources.filter(({ kind }) => kind.group === group);
  const namedGroups = groups.filter((group) => group !== "");
  const isRooted = (path: string) => /^\/apis?$|^\/api\//.test(path) || namedGroups.includes(path.split("/")[2] ?? "");
  return (exchange) => {
    const path = exchange.info.path.replace(/\/$/, "");
    if (!/^\/apis?(\/|$)/.test(path) || !isRooted(path)) return undefined;
    const found = find(exchange, path);
    if (found === undefined) throw pathNotFound();
    assertRoute(exchange, ["GET"]);
    return found();
  };

  function find(exchange: Exchange, path: string): (() => Promise<Response>) | undefined {
    if (path === "/api") {
      if (wantsAggregated(exchange)) return () => respondAggregated(exchange, aggregated([""], inGroup));
      const versions = {
        versions: ["v1"],
        serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: serverAddress() }],
      };
      return () =>
        respondLegacy(exchange, { kind: "APIVersions", apiVersion: "", schema: apiVersionsSchema }, versions);
    }
    if (path === "/apis") {
      if (wantsAggregated(exchange)) return () => respondAggregated(exchange, aggregated(namedGroups, inGroup));
      const list = { groups: namedGroups.map((group) => groupOf(group, inGroup(group))) };
      return () =>
        respondLegacy(exchange, { kind: "APIGroupList", apiVersion: "v1", schema: apiGroupListSchema }, list);
    }
    const [, root, group = "", version] = path.split("/");
    if (root === "api" && group === "v1" && version === undefined) {
      return () => respondLegacy(exchange, RESOURCE_LIST_CORE, resourceListOf("v1", inGroup("")));
    }
    if (root !== "apis" || !namedGroups.includes(group)) return undefined;
    const members = inGroup(group);
    if (version === undefined) {
      return () =>
        respondLegacy(
          exchange,
          { kind: "APIGroup", apiVersion: "v1", schema: apiGroupSchema },
          groupOf(group, members),
        );
    }
    const served = members.filter(({ kind }) => kind.version === version);
    if (served.length === 0 || path.split("/").length > 4) return undefined;
    return () => respondLegacy(exchange, RESOURCE_LIST, resourceListOf(`${group}/${version}`, served));
  }
}

const RESOURCE_LIST = { kind: "APIResourceList", apiVersion: "v1", schema: apiResourceListSchema };
/** The core group's list carries no `apiVersion`. */
const RESOURCE_LIST_CORE = { kind: "APIResourceList", apiVersion: "", schema: apiResourceListSchema };

function wantsAggregated(exchange: Exchange): boolean {
  return parseAccept(headerOf(exchange, "accept") ?? "").some(({ type, subtype, parameters }) =>
    type === "application" && subtype === "json" && parameters["g"] === "apidiscovery.k8s.io" &&
    parameters["v"] === "v2" && parameters["as"] === "APIGroupDiscoveryList"
  );
}

function respondAggregated(exchange: Exchange, list: object): Promise<Response> {
  const body = new TextEncoder().encode(`${JSON.stringify(list)}\n`);
  const etag = `"${createHash("sha512").update(body).digest("hex").toUpperCase()}"`;
  const headers = { etag, vary: "Accept", "cache-control": "public" };
  if (headerOf(exchange, "if-none-match") === etag) {
    const all = baseHeaders(exchange);
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return Promise.resolve(new Response(null, { status: 304, headers: all }));
  }
  return respondBytes(exchange, 200, AGGREGATED_TYPE, body, headers);
}

function respondLegacy(exchange: Exchange, wire: Parameters<typeof respondWire>[2], object: object): Promise<Response> {
  const representation: Representation = representationFor(exchange, { table: false, partial: false });
  return respondWire(exchange, 200, wire, object, representation);
}

function aggregated(
  groups: readonly string[],
  inGroup: (group: string) => readonly DiscoveredResource[],
): object {
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map((group) => {
      const members = inGroup(group);
      const version = members[0]!.kind.version;
      return {
        metadata: group === "" ? {} : { name: group },
        versions: [{
          version,
          resources: [...members].sort(byPlural).map((member) => aggregatedResource(member)),
          freshness: "Current",
        }],
      };
    }),
  };
}

function aggregatedResource({ kind, verbs, subresources }: DiscoveredResource): object {
  const responseKind = { group: kind.group, version: kind.version, kind: kind.kind };
  return {
    resource: kind.plural,
    responseKind,
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(subresources.length === 0 ? {} : {
      subresources: [...subresources].sort((a, b) => a.name < b.name ? -1 : 1).map((sub) => ({
        subresource: sub.name,
        responseKind,
        verbs: sub.verbs,
      })),
    }),
  };
}

function groupOf(group: string, members: readonly DiscoveredResource[]): object {
  const version = members[0]!.kind.version;
  const entry = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [entry], preferredVersion: entry };
}

function resourceListOf(groupVersion: string, members: readonly DiscoveredResource[]): object {
  return {
    groupVersion,
    resources: [...members].sort(byPlural).flatMap((member) => legacyEntries(member)),
  };
}

function legacyEntries({ kind, verbs, subresources, stored }: DiscoveredResource): readonly object[] {
  const main = {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(stored ? { storageVersionHash: storageVersionHash(kind) } : {}),
  };
  const subs = [...subresources].sort((a, b) => a.name < b.name ? -1 : 1).map((sub) => ({
    name: `${kind.plural}/${sub.name}`,
    singularName: "",
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: sub.verbs,
  }));
  return [main, ...subs];
}

/** Eight bytes of SHA-256 over group, version and kind (apiserver `discovery.StorageVersionHash`). */
function storageVersionHash(kind: Kind): string {
  const subject = `${kind.group}/${kind.version}/${kind.kind}`;
  return createHash("sha256").update(subject).digest().subarray(0, 8).toString("base64");
}

function byPlural(a: DiscoveredResource, b: DiscoveredResource): number {
  return a.kind.plural < b.kind.plural ? -1 : 1;
}
