/** Discovery in one document for `/api` and one for `/apis`, the form that clients ask for first. */
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { jsonText } from "../../core/kube/codec/encode.ts";
import { apiGroupDiscoveryListSchema } from "../../core/kube/kinds/apidiscovery_v2.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { Answer } from "./answer.ts";
import type { DiscoveredGroup, DiscoveredResource } from "./discovered.ts";
import { encodeWire } from "./encoding.ts";
import type { Exchange } from "./exchange.ts";
import { headerOf } from "./exchange.ts";
import { type MediaType, negotiateTransformation } from "./negotiation.ts";
import { respondBytes, respondEmpty } from "./respond.ts";

const TARGET = { g: "apidiscovery.k8s.io", v: "v2", as: "APIGroupDiscoveryList" };
const WIRE = { apiVersion: `${TARGET.g}/${TARGET.v}`, kind: TARGET.as, schema: apiGroupDiscoveryListSchema };

/** Answers when the client asks for the aggregated form, else undefined. */
export type AggregatedHandler = (exchange: Exchange) => Promise<Answer> | undefined;

/** Builds the handler of one document; `groups` in their order. */
export function createAggregated(groups: readonly DiscoveredGroup[]): AggregatedHandler {
  const list = { metadata: {}, items: groups.map(groupOf) };
  const etag = `"${createHash("sha512").update(jsonText(list)).digest("hex").toUpperCase()}"`;
  const encoded = new Map<string, Uint8Array>();
  const bytesOf = (mediaType: MediaType, pretty: boolean): Uint8Array => {
    const key = `${mediaType} ${pretty}`;
    const bytes = encoded.get(key) ?? Buffer.from(encodeWire(WIRE, list, mediaType, pretty));
    encoded.set(key, bytes);
    return bytes;
  };
  return (exchange) => {
    const userAgent = headerOf(exchange, "user-agent") ?? "";
    const chosen = negotiateTransformation(headerOf(exchange, "accept") ?? "", exchange.query, userAgent, TARGET);
    if (chosen === undefined) return undefined;
    const headers = { etag, vary: "Accept", "cache-control": "public" };
    if (headerOf(exchange, "if-none-match") === etag) return respondEmpty(exchange, 304, headers);
    const contentType = `${chosen.mediaType};g=${TARGET.g};v=${TARGET.v};as=${TARGET.as}`;
    return respondBytes(exchange, 200, contentType, bytesOf(chosen.mediaType, chosen.pretty), headers);
  };
}

function groupOf({ group, version, resources }: DiscoveredGroup): object {
  const discovered = { version, resources: resources.map(resourceOf), freshness: "Current" };
  return { metadata: group === "" ? {} : { name: group }, versions: [discovered] };
}

function resourceOf({ kind, verbs, subresources }: DiscoveredResource): object {
  return {
    resource: kind.plural,
    responseKind: responseKindOf(kind),
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(subresources.length === 0 ? {} : {
      subresources: subresources.map((sub) => ({
        subresource: sub.name,
        responseKind: responseKindOf(sub.kind ?? kind),
        verbs: sub.verbs,
      })),
    }),
  };
}

/** kube-apiserver's aggregator leaves group and version empty: they are those of the document. */
function responseKindOf({ kind }: Kind): object {
  return { group: "", version: "", kind };
}
