/**
 * Discovery of the served groups, versions, resources and verbs: the aggregated form, which clients request first, and
 * the legacy form (`/api`, `/apis`, `/apis/<group>`, `/apis/<group>/<version>`).
 */
import { hash } from "node:crypto";
import { omitEmpty } from "../../core/lib/record.ts";
import {
  apiGroupListSchema,
  apiGroupSchema,
  apiResourceListSchema,
  apiVersionsSchema,
} from "../../core/kube/kinds/mod.ts";
import { TLSBOOT_GROUP } from "../../core/kube/kinds/constants.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { Answer } from "./answer.ts";
import { type Exchange, findHeader, getUserAgent } from "./exchange.ts";
import { chooseRepresentation } from "./read_handlers.ts";
import { encodeWire, respondBytes, respondEmpty, respondWire, type Wire } from "./respond.ts";
import { toStoredKind } from "../registry/registry.ts";
import type { Resource } from "../registry/resource.ts";
import { assertRoute, type ServedRoute } from "./routes.ts";
import { Buffer } from "node:buffer";
import { jsonText } from "../../core/kube/wire/object_json.ts";
import { apiGroupDiscoveryListSchema } from "../../core/kube/kinds/discovery.ts";
import { type MediaType, negotiateTransformation } from "./negotiation.ts";
import { formatDocumentName } from "../../core/kube/openapi/routes.ts";
import type { ServedKind, ServedSubresource } from "../../core/kube/openapi/route.ts";
import type { Served } from "./resource_handler.ts";

/** Creates the routes of the served groups; their handlers throw StatusError 405 and 406. */
export function createDiscoveryRoutes(
  groups: readonly DiscoveredGroup[],
  serverAddress: () => string,
): readonly ServedRoute[] {
  const named = groups.filter(({ group }) => group !== "");
  const aggregatedCore = createAggregated(groups.filter(({ group }) => group === ""));
  // kube-apiserver's aggregator answers group paths for any method, and the other paths only for GET.
  const aggregated = createAggregated(named);
  const groupList = { groups: named.map(toLegacyGroup) };
  const routes: readonly ServedRoute[] = [
    {
      path: "/api",
      answer(exchange) {
        assertRoute(exchange, ["GET"]);
        return aggregatedCore(exchange) ?? respondLegacy(exchange, VERSIONS, {
          versions: ["v1"],
          serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: serverAddress() }],
        });
      },
    },
    { path: APIS_PATH, answer: (exchange) => aggregated(exchange) ?? respondLegacy(exchange, GROUP_LIST, groupList) },
    ...named.map((group): ServedRoute => {
      const document = toLegacyGroup(group);
      return { path: `${APIS_PATH}/${group.group}`, answer: (exchange) => respondLegacy(exchange, GROUP, document) };
    }),
    ...groups.map((discovered): ServedRoute => {
      const { group, version, resources } = discovered;
      const list = toResourceList(group === "" ? version : `${group}/${version}`, resources);
      const wire = group === "" ? RESOURCE_LIST_CORE : RESOURCE_LIST;
      return {
        path: `/${formatDocumentName(discovered)}`,
        answer(exchange) {
          assertRoute(exchange, ["GET"]);
          return respondLegacy(exchange, wire, list);
        },
      };
    }),
  ];
  return routes.flatMap((route) => [
    { ...route, isListed: true },
    { ...route, path: `${route.path}/`, isListed: route.path === APIS_PATH },
  ]);
}

const APIS_PATH = "/apis";
const GROUP_LIST: Wire = { kind: "APIGroupList", apiVersion: "v1", schema: apiGroupListSchema };
const GROUP: Wire = { kind: "APIGroup", apiVersion: "v1", schema: apiGroupSchema };
const RESOURCE_LIST: Wire = { kind: "APIResourceList", apiVersion: "v1", schema: apiResourceListSchema };
/** These documents, which are older than API groups, have no `apiVersion`. */
const VERSIONS: Wire = { kind: "APIVersions", apiVersion: "", schema: apiVersionsSchema };
const RESOURCE_LIST_CORE: Wire = { kind: "APIResourceList", apiVersion: "", schema: apiResourceListSchema };

function respondLegacy(exchange: Exchange, wire: Wire, object: object): Promise<Answer> {
  return respondWire(exchange, 200, wire, object, chooseRepresentation(exchange, { table: false, partial: false }));
}

function toLegacyGroup({ group, version }: DiscoveredGroup): object {
  const entry = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [entry], preferredVersion: entry };
}

function toResourceList(groupVersion: string, members: readonly DiscoveredResource[]): object {
  return { groupVersion, resources: members.flatMap(toLegacyResources) };
}

function toLegacyResources({ kind, verbs, subresources, storedAs }: DiscoveredResource): readonly object[] {
  const main = {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs,
    ...omitEmpty({
      shortNames: kind.shortNames,
      categories: kind.categories,
      storageVersionHash: storedAs && hashStorageVersion(storedAs),
    }),
  };
  const subs = subresources.map((sub) => ({
    name: `${kind.plural}/${sub.name}`,
    singularName: "",
    namespaced: kind.namespaced,
    ...(sub.kind === undefined ? {} : { group: sub.kind.group, version: sub.kind.version }),
    kind: (sub.kind ?? kind).kind,
    verbs: sub.verbs,
  }));
  return [main, ...subs];
}

/** Hashes group, version and kind to eight bytes of SHA-256 (apiserver `discovery.StorageVersionHash`). */
function hashStorageVersion(kind: Kind): string {
  const subject = `${kind.group}/${kind.version}/${kind.kind}`;
  return Buffer.from(hash("sha256", subject), "hex").subarray(0, 8).toString("base64");
}

const TARGET = { g: "apidiscovery.k8s.io", v: "v2", as: "APIGroupDiscoveryList" };
const WIRE = { apiVersion: `${TARGET.g}/${TARGET.v}`, kind: TARGET.as, schema: apiGroupDiscoveryListSchema };

/** Answers a request for the aggregated form; undefined when the client accepts only the legacy form. */
type AggregatedHandler = (exchange: Exchange) => Promise<Answer> | undefined;

/** Creates the handler of one aggregated document, with the groups in their order. */
function createAggregated(groups: readonly DiscoveredGroup[]): AggregatedHandler {
  const list = { metadata: {}, items: groups.map(toAggregatedGroup) };
  const etag = `"${hash("sha512", jsonText(list)).toUpperCase()}"`;
  const encoded = new Map<string, Uint8Array>();
  const encode = (mediaType: MediaType, pretty: boolean): Uint8Array => {
    const key = `${mediaType} ${pretty}`;
    const bytes = encoded.get(key) ?? Buffer.from(encodeWire(WIRE, list, mediaType, pretty));
    encoded.set(key, bytes);
    return bytes;
  };
  return (exchange) => {
    const userAgent = getUserAgent(exchange);
    const chosen = negotiateTransformation(findHeader(exchange, "accept") ?? "", exchange.query, userAgent, TARGET);
    if (chosen === undefined) return undefined;
    const headers = { etag, vary: "Accept", "cache-control": "public" };
    if (findHeader(exchange, "if-none-match") === etag) return respondEmpty(exchange, 304, headers);
    const contentType = `${chosen.mediaType};g=${TARGET.g};v=${TARGET.v};as=${TARGET.as}`;
    return respondBytes(exchange, 200, contentType, encode(chosen.mediaType, chosen.pretty), headers);
  };
}

function toAggregatedGroup({ group, version, resources }: DiscoveredGroup): object {
  const discovered = { version, resources: resources.map(toAggregatedResource), freshness: "Current" };
  return { metadata: group === "" ? {} : { name: group }, versions: [discovered] };
}

function toAggregatedResource({ kind, verbs, subresources }: DiscoveredResource): object {
  return {
    resource: kind.plural,
    responseKind: toResponseKind(kind),
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs,
    ...omitEmpty({ shortNames: kind.shortNames, categories: kind.categories }),
    ...(subresources.length === 0 ? {} : {
      subresources: subresources.map((sub) => ({
        subresource: sub.name,
        responseKind: sub.kind === undefined
          ? toResponseKind(kind)
          : { group: sub.kind.group, version: sub.kind.version, kind: sub.kind.kind },
        verbs: sub.verbs,
      })),
    }),
  };
}

/** kube-apiserver's aggregator omits group and version where they are those of the document. */
function toResponseKind({ kind }: Kind): object {
  return { group: "", version: "", kind };
}

/** A resource with its verbs, for discovery and OpenAPI. */
export interface DiscoveredResource extends ServedKind {
  /** The kind in whose version the storage keeps the objects; undefined for reviews, which are not stored. */
  readonly storedAs: Kind | undefined;
}

/** A group in one version, with its resources by name. */
export interface DiscoveredGroup {
  /** The name of the group, empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly resources: readonly DiscoveredResource[];
}

/** The served groups in the order of kube-apiserver's priorities, then our own group. */
const GROUP_ORDER: readonly string[] = [
  "",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "certificates.k8s.io",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "coordination.k8s.io",
  TLSBOOT_GROUP,
];

function listSubresources({ subresources = [], postedSubresources = [] }: Resource): readonly ServedSubresource[] {
  const posted = postedSubresources.map(({ name, kind }) => ({ name, kind, verbs: ["create"] }));
  return [...subresources.map(({ name, verbs }) => ({ name, verbs })), ...posted]
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

export function listDiscoveredGroups({ resources, reviews }: Served): readonly DiscoveredGroup[] {
  const all: readonly DiscoveredResource[] = [
    ...resources.filter(({ isHidden }) => isHidden !== true).map((resource) => ({
      kind: resource.kind,
      verbs: resource.verbs,
      subresources: listSubresources(resource),
      // Deleting a namespace returns the namespace, but kube-apiserver's documents do not describe that.
      deleteReturnsObject: resource.deletion?.returnsObject === true && resource.deletion.begin === undefined,
      storedAs: findStoredKind(resource, resources),
    })),
    ...reviews.map(({ kind }) => ({ kind, verbs: ["create"], subresources: [], storedAs: undefined })),
  ];
  return GROUP_ORDER.flatMap((group) => {
    const members = all.filter(({ kind }) => kind.group === group);
    const version = members[0]?.kind.version;
    if (version === undefined) return [];
    return [{ group, version, resources: members.sort((a, b) => a.kind.plural < b.kind.plural ? -1 : 1) }];
  });
}

function findStoredKind(resource: Resource, resources: readonly Resource[]): Kind | undefined {
  const stored = resource.conversion === undefined
    ? resource
    : resources.find((other) => other.kind.kind === resource.kind.kind && other.conversion === undefined);
  return stored === undefined ? undefined : toStoredKind(stored);
}
