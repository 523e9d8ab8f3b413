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
import type { Answer } from "./answer.ts";
import { encodeWire, type Wire } from "./encoding.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { representationFor } from "./read_handlers.ts";
import { respondBytes, respondEmpty, respondWire } from "./respond.ts";
import { assertRoute } from "./routes.ts";
import { Buffer } from "node:buffer";
import { jsonText } from "../../core/kube/codec/encode.ts";
import { apiGroupDiscoveryListSchema } from "../../core/kube/kinds/apidiscovery_v2.ts";
import { type MediaType, negotiateTransformation } from "./negotiation.ts";
import { documentName, type ServedKind } from "../../core/kube/openapi/mod.ts";
import type { Served } from "./resource_handler.ts";
import { type HealthCheck, listHealthPaths } from "./health.ts";

/** Answers every discovery path; undefined when the path is none, or its group is unknown. Throws StatusError 404, 405, 406. */
export type DiscoveryHandler = (exchange: Exchange) => Promise<Answer> | undefined;

type Respond = (exchange: Exchange) => Promise<Answer>;

/** Builds the handler over everything that is served. */
export function createDiscovery(groups: readonly DiscoveredGroup[], serverAddress: () => string): DiscoveryHandler {
  const answers = new Map<string, Respond>();
  const named = groups.filter(({ group }) => group !== "");
  const aggregatedCore = createAggregated(groups.filter(({ group }) => group === ""));
  answers.set("/api", (exchange) => {
    assertRoute(exchange, ["GET"]);
    return aggregatedCore(exchange) ?? respondLegacy(exchange, VERSIONS, {
      versions: ["v1"],
      serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: serverAddress() }],
    });
  });
  // The aggregator of kube-apiserver answers the paths of groups, to any method; the rest has routes.
  const aggregated = createAggregated(named);
  const groupList = { groups: named.map(toLegacyGroup) };
  answers.set("/apis", (exchange) => aggregated(exchange) ?? respondLegacy(exchange, GROUP_LIST, groupList));
  for (const { group, version, resources } of groups) {
    const list = toResourceList(group === "" ? version : `${group}/${version}`, resources);
    answers.set(group === "" ? `/api/${version}` : `/apis/${group}/${version}`, (exchange) => {
      assertRoute(exchange, ["GET"]);
      return respondLegacy(exchange, group === "" ? RESOURCE_LIST_CORE : RESOURCE_LIST, list);
    });
    if (group === "") continue;
    const one = toLegacyGroup({ group, version, resources });
    answers.set(`/apis/${group}`, (exchange) => respondLegacy(exchange, GROUP, one));
  }
  const roots = ["/api", ...named.map(({ group }) => `/apis/${group}`)];
  return (exchange) => {
    const path = exchange.info.path.replace(/\/$/, "");
    const answer = answers.get(path);
    if (answer !== undefined) return answer(exchange);
    if (roots.some((root) => path.startsWith(`${root}/`))) throw pathNotFound();
    return undefined;
  };
}

const GROUP_LIST: Wire = { kind: "APIGroupList", apiVersion: "v1", schema: apiGroupListSchema };
const GROUP: Wire = { kind: "APIGroup", apiVersion: "v1", schema: apiGroupSchema };
const RESOURCE_LIST: Wire = { kind: "APIResourceList", apiVersion: "v1", schema: apiResourceListSchema };
/** What is older than groups carries no `apiVersion`. */
const VERSIONS: Wire = { kind: "APIVersions", apiVersion: "", schema: apiVersionsSchema };
const RESOURCE_LIST_CORE: Wire = { kind: "APIResourceList", apiVersion: "", schema: apiResourceListSchema };

function respondLegacy(exchange: Exchange, wire: Wire, object: object): Promise<Answer> {
  return respondWire(exchange, 200, wire, object, representationFor(exchange, { table: false, partial: false }));
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
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(storedAs === undefined ? {} : { storageVersionHash: storageVersionHash(storedAs) }),
  };
  const subs = subresources.map((sub) => ({
    name: `${kind.plural}/${sub.name}`,
    singularName: "",
    namespaced: kind.namespaced,
    kind: (sub.kind ?? kind).kind,
    verbs: sub.verbs,
  }));
  return [main, ...subs];
}

/** Eight bytes of SHA-256 over group, version and kind (apiserver `discovery.StorageVersionHash`). */
function storageVersionHash(kind: Kind): string {
  const subject = `${kind.group}/${kind.version}/${kind.kind}`;
  return createHash("sha256").update(subject).digest().subarray(0, 8).toString("base64");
}

const TARGET = { g: "apidiscovery.k8s.io", v: "v2", as: "APIGroupDiscoveryList" };
const WIRE = { apiVersion: `${TARGET.g}/${TARGET.v}`, kind: TARGET.as, schema: apiGroupDiscoveryListSchema };

/** Answers when the client asks for the aggregated form, else undefined. */
export type AggregatedHandler = (exchange: Exchange) => Promise<Answer> | undefined;

/** Builds the handler of one document; `groups` in their order. */
export function createAggregated(groups: readonly DiscoveredGroup[]): AggregatedHandler {
  const list = { metadata: {}, items: groups.map(toAggregatedGroup) };
  const etag = `"${createHash("sha512").update(jsonText(list)).digest("hex").toUpperCase()}"`;
  const encoded = new Map<string, Uint8Array>();
  const encode = (mediaType: MediaType, pretty: boolean): Uint8Array => {
    const key = `${mediaType} ${pretty}`;
    const bytes = encoded.get(key) ?? Buffer.from(encodeWire(WIRE, list, mediaType, pretty));
    encoded.set(key, bytes);
    return bytes;
  };
  return (exchange) => {
    const userAgent = findHeader(exchange, "user-agent") ?? "";
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
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(subresources.length === 0 ? {} : {
      subresources: subresources.map((sub) => ({
        subresource: sub.name,
        responseKind: toResponseKind(sub.kind ?? kind),
        verbs: sub.verbs,
      })),
    }),
  };
}

/** kube-apiserver's aggregator leaves group and version empty: they are those of the document. */
function toResponseKind({ kind }: Kind): object {
  return { group: "", version: "", kind };
}

/** A resource with its verbs. */
export interface DiscoveredResource extends ServedKind {
  /** The version that the storage holds; reviews are not stored. */
  readonly storedAs: Kind | undefined;
}

/** A group in one version, with its resources by name. */
export interface DiscoveredGroup {
  /** Empty for core. */
  readonly group: string;
  readonly version: string;
  readonly resources: readonly DiscoveredResource[];
}

/** kube-apiserver's order of groups is by priority; these are its priorities for what is served here. */
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

/** Everything that is served, by group. */
export function listDiscoveredGroups({ resources, reviews }: Served): readonly DiscoveredGroup[] {
  const all: readonly DiscoveredResource[] = [
    ...resources.filter(({ isHidden }) => isHidden !== true).map((
      { kind, verbs, subresources, deletion, conversion },
    ) => ({
      kind,
      verbs,
      subresources: [...subresources].sort((a, b) => a.name < b.name ? -1 : 1),
      // Namespaces answer with themselves, but kube-apiserver's documents do not say so.
      deleteAnswersObject: deletion?.answersObject === true && deletion.begin === undefined,
      storedAs: conversion === undefined
        ? kind
        : resources.find((other) => other.kind.kind === kind.kind && other.conversion === undefined)?.kind,
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

const OTHER_PATHS: readonly string[] = [
  "/api",
  "/apis",
  "/apis/",
  "/metrics",
  "/openapi/v2",
  "/openapi/v3",
  "/openapi/v3/",
  "/version",
];

/** Every path that a client may want to start from, in order. */
export function listIndexPaths(groups: readonly DiscoveredGroup[], checks: readonly HealthCheck[]): readonly string[] {
  const ofGroups = groups.flatMap((group) => [
    ...(group.group === "" ? [] : [`/apis/${group.group}`]),
    `/${documentName(group)}`,
  ]);
  return [...OTHER_PATHS, ...ofGroups, ...listHealthPaths(checks)].sort();
}
