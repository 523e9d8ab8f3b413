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
import { createAggregated } from "./aggregated_discovery.ts";
import type { DiscoveredGroup, DiscoveredResource } from "./discovered.ts";
import type { Wire } from "./encoding.ts";
import type { Exchange } from "./exchange.ts";
import { representationFor } from "./read_handlers.ts";
import { respondWire } from "./respond.ts";
import { assertRoute } from "./routes.ts";

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
  const groupList = { groups: named.map(groupOf) };
  answers.set("/apis", (exchange) => aggregated(exchange) ?? respondLegacy(exchange, GROUP_LIST, groupList));
  for (const { group, version, resources } of groups) {
    const list = resourceListOf(group === "" ? version : `${group}/${version}`, resources);
    answers.set(group === "" ? `/api/${version}` : `/apis/${group}/${version}`, (exchange) => {
      assertRoute(exchange, ["GET"]);
      return respondLegacy(exchange, group === "" ? RESOURCE_LIST_CORE : RESOURCE_LIST, list);
    });
    if (group === "") continue;
    const one = groupOf({ group, version, resources });
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

function groupOf({ group, version }: DiscoveredGroup): object {
  const entry = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [entry], preferredVersion: entry };
}

function resourceListOf(groupVersion: string, members: readonly DiscoveredResource[]): object {
  return { groupVersion, resources: members.flatMap(legacyEntries) };
}

function legacyEntries({ kind, verbs, subresources, storedAs }: DiscoveredResource): readonly object[] {
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
