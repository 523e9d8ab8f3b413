/** Answers a GET of an object or a list. */
import { omitEmpty } from "../../core/lib/record.ts";
import { encodeObject } from "../../core/kube/wire/object_json.ts";
import type { KubeObject, ListMeta } from "../../core/kube/meta.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import { partialObjectMetadataSchema } from "../../core/kube/kinds/mod.ts";
import {
  partialObjectMetadataListSchema,
  partialObjectMetadataListV1beta1Schema,
} from "../../core/kube/kinds/meta_v1.ts";
import type { Answer } from "./answer.ts";
import { formatGoType } from "./known_kinds.ts";
import { assertSelectable, getObject, type ListAnswer, listObjects } from "../registry/read.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import { findSubresource, type Resource } from "../registry/resource.ts";
import type { Stored } from "../storage/storage.ts";
import { type Exchange, findHeader, getUserAgent } from "./exchange.ts";
import { type Convertible, createOtherFormError, negotiate, type Representation } from "./negotiation.ts";
import { parseCollectionOptions } from "./options.ts";
import { encodeStored, encodeStoredList, respondBytes, respondWire } from "./respond.ts";
import { createTable, encodeTable, parseIncludeObject } from "./table.ts";

const PROTOBUF = "application/vnd.kubernetes.protobuf";

/** Returns the transformations that an endpoint of a resource supports. */
export function getConvertible(target: Target): Convertible {
  const table = target.subresource === "" || findSubresource(target)?.table === true;
  return { table, partial: true, serverVersion: "v1" };
}

/** The transformations that lists and watches of a resource support. */
export const LIST_CONVERTIBLE: Convertible = { table: true, partial: true, serverVersion: "v1" };

export function chooseRepresentation(exchange: Exchange, can: Convertible): Representation {
  return negotiate(findHeader(exchange, "accept"), exchange.query, getUserAgent(exchange), can);
}

export async function handleGet(deps: RegistryDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const representation = chooseRepresentation(exchange, getConvertible(target));
  const stored = await getObject(deps, target, exchange.query.get("resourceVersion") ?? "", exchange.signal);
  return respondStored(deps, exchange, 200, target.resource, stored, representation);
}

/** Sends one stored object in any representation. */
export async function respondStored(
  deps: RegistryDeps,
  exchange: Exchange,
  status: number,
  resource: Resource,
  stored: Pick<Stored, "object" | "bytes">,
  representation: Representation,
): Promise<Answer> {
  const { mediaType, pretty, as } = representation;
  switch (as) {
    case "object": {
      exchange.audit?.responseObject(resource.kind, () => stored.object);
      const bytes = encodeStored(resource.kind, stored, mediaType, pretty);
      const answer = await respondBytes(exchange, status, mediaType, bytes);
      if (mediaType !== "application/json") return answer;
      return { ...answer, getValue: () => encodeObject(resource.kind, stored.object) };
    }
    case "Table": {
      const { resourceVersion } = stored.object.metadata;
      const metadata: ListMeta = resourceVersion === undefined ? {} : { resourceVersion };
      return respondTable(deps, exchange, status, resource, metadata, [stored], representation);
    }
    case "PartialObjectMetadataList":
      throw createOtherFormError(as, formatGoType(resource.kind));
    case "PartialObjectMetadata":
      return respondPartial(exchange, status, stored.object, representation);
  }
}

/** Sends only the metadata of an object. */
export function respondPartial(
  exchange: Exchange,
  status: number,
  { metadata }: KubeObject,
  representation: Representation,
): Promise<Answer> {
  const apiVersion = `meta.k8s.io/${representation.metaVersion}`;
  const wire = { apiVersion, kind: "PartialObjectMetadata", schema: partialObjectMetadataSchema };
  return respondWire(exchange, status, wire, { metadata }, representation);
}

export async function handleList(deps: RegistryDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const representation = chooseRepresentation(exchange, LIST_CONVERTIBLE);
  const options = parseCollectionOptions(exchange.query, false);
  assertSelectable(target.resource, options.fields);
  const list = await listObjects(deps, target, options, exchange.signal);
  return respondList(deps, exchange, target.resource, list, representation);
}

export type SentList = Omit<ListAnswer, "items"> & { readonly items: readonly Pick<Stored, "object" | "bytes">[] };

/** Sends a list in any representation. */
export function respondList(
  deps: RegistryDeps,
  exchange: Exchange,
  resource: Resource,
  list: SentList,
  representation: Representation,
): Promise<Answer> {
  const { mediaType, pretty, as, metaVersion } = representation;
  const metadata: ListMeta = {
    resourceVersion: String(list.revision),
    ...omitEmpty({ continue: list.continueToken, remainingItemCount: list.remainingItemCount }),
  };
  // Compact JSON is sent from the stored bytes, so the objects are parsed only when they are needed.
  const getObjects = () => list.items.map((item) => item.object);
  switch (as) {
    case "object":
      exchange.audit?.responseObject(toListType(resource), () => ({ metadata, items: getObjects() }));
      return respondBytes(
        exchange,
        200,
        mediaType,
        encodeStoredList(resource.kind, metadata, list.items, mediaType, pretty),
      );
    case "Table":
      return respondTable(deps, exchange, 200, resource, metadata, list.items, representation);
    case "PartialObjectMetadata":
      throw createOtherFormError(as, `${formatGoType(resource.kind)}List`);
    case "PartialObjectMetadataList":
      return respondWire(
        exchange,
        200,
        {
          apiVersion: `meta.k8s.io/${metaVersion}`,
          kind: "PartialObjectMetadataList",
          schema: metaVersion === "v1" ? partialObjectMetadataListSchema : partialObjectMetadataListV1beta1Schema,
        },
        // A Go slice without an append is null in JSON; protobuf encodes neither null nor an empty list.
        {
          metadata,
          items: list.items.length === 0 && mediaType !== PROTOBUF ? null : list.items.map(({ object }) => ({
            kind: "PartialObjectMetadata",
            apiVersion: `meta.k8s.io/${metaVersion}`,
            metadata: object.metadata,
          })),
        },
        representation,
      );
  }
}

function respondTable(
  deps: RegistryDeps,
  exchange: Exchange,
  status: number,
  resource: Resource,
  metadata: ListMeta,
  items: SentList["items"],
  representation: Representation,
): Promise<Answer> {
  const { mediaType, pretty, metaVersion } = representation;
  const include = parseIncludeObject(exchange.query);
  const now = deps.clock.now();
  const wire = { apiVersion: `meta.k8s.io/${metaVersion}`, kind: "Table" };
  const table = () => createTable(resource, metadata, items.map(({ object }) => object), include, metaVersion, now);
  if (mediaType !== "application/json" || pretty || include !== "Metadata") {
    return respondWire(exchange, status, wire, table(), representation);
  }
  exchange.audit?.responseObject(wire, table);
  return respondBytes(exchange, status, mediaType, encodeTable(resource, metadata, items, metaVersion, now));
}

function toListType({ kind }: Resource): { readonly kind: string; readonly apiVersion: string } {
  return { kind: kind.listKind, apiVersion: formatApiVersion(kind) };
}
