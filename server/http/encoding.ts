/** Encodes objects, lists and errors in the negotiated media type. */
import { Buffer } from "node:buffer";
import { encodeObject, jsonText } from "../../core/kube/wire/encode.ts";
import { formatYaml } from "../../core/lib/yaml/format.ts";
import type { ListMeta } from "../../core/kube/meta.ts";
import { formatApiVersion, type Kind, type MessageSchema } from "../../core/kube/schema.ts";
import type { Stored } from "../storage/storage.ts";
import type { MediaType } from "./negotiation.ts";
import { encodeEnvelope, encodeListItem, encodeListOfItems, encodeMessage } from "../../core/kube/wire/mod.ts";

/** The type of an encoded object: its names, and its schema when protobuf is possible. */
export interface Wire {
  readonly apiVersion: string;
  readonly kind: string;
  readonly schema?: MessageSchema;
}

export function toWire(kind: Kind): Wire {
  return { apiVersion: formatApiVersion(kind), kind: kind.kind, schema: kind.schema };
}

/** Encodes any object; an object without a schema is encoded as JSON instead of protobuf. */
export function encodeWire(wire: Wire, object: object, mediaType: MediaType, pretty: boolean): Uint8Array {
  if (mediaType === "application/vnd.kubernetes.protobuf" && wire.schema !== undefined) {
    return encodeEnvelope(wire.apiVersion, wire.kind, encodeMessage(wire.schema, object));
  }
  const value = wire.apiVersion === "" ? { kind: wire.kind, ...object } : encodeObject(wire, object);
  if (mediaType === "application/yaml") return Buffer.from(formatYaml(value), "utf8");
  // Go ends compact JSON with a newline, indented JSON without.
  return Buffer.from(pretty ? jsonText(value, 2) : `${jsonText(value)}\n`, "utf8");
}

/** Encodes a stored object; its compact JSON is the stored bytes after `kind` and `apiVersion`. */
export function encodeStored(
  kind: Kind,
  stored: Pick<Stored, "object" | "bytes">,
  mediaType: MediaType,
  pretty: boolean,
): Uint8Array {
  if (mediaType !== "application/json" || pretty) return encodeWire(toWire(kind), stored.object, mediaType, pretty);
  return Buffer.concat([getTypeHead(kind), stored.bytes.subarray(1), NEWLINE]);
}

/** Encodes a list at one revision; its compact JSON is the stored bytes of the items, one after the other. */
export function encodeStoredList(
  kind: Kind,
  metadata: ListMeta,
  items: readonly Pick<Stored, "object" | "bytes">[],
  mediaType: MediaType,
  pretty: boolean,
): Uint8Array | readonly Uint8Array[] {
  if (mediaType === "application/vnd.kubernetes.protobuf") {
    return encodeListOfItems(kind, metadata, items.map((item) => getListItem(kind, item)));
  }
  const apiVersion = formatApiVersion(kind);
  if (mediaType !== "application/json" || pretty) {
    const list = { kind: kind.listKind, apiVersion, metadata, items: items.map((item) => item.object) };
    if (mediaType === "application/yaml") return Buffer.from(formatYaml(list), "utf8");
    return Buffer.from(jsonText(list, 2), "utf8");
  }
  const head = `{"kind":"${kind.listKind}","apiVersion":"${apiVersion}","metadata":${
    JSON.stringify(metadata)
  },"items":[`;
  const parts: Uint8Array[] = [Buffer.from(head, "utf8")];
  for (const { bytes } of items) {
    if (parts.length > 1) parts.push(COMMA);
    parts.push(bytes);
  }
  parts.push(LIST_END);
  return parts;
}

const listItems = new WeakMap<Pick<Stored, "object">, Uint8Array>();

/** Returns the protobuf of a stored object in a list, which is cached with the object. */
function getListItem(kind: Kind, item: Pick<Stored, "object">): Uint8Array {
  let encoded = listItems.get(item);
  if (encoded === undefined) listItems.set(item, encoded = encodeListItem(kind, item.object));
  return encoded;
}

/** Encodes a stored object with its type as JSON, without the newline. */
export function encodeStoredJson(kind: Kind, stored: Stored): Uint8Array {
  return Buffer.concat([getTypeHead(kind), stored.bytes.subarray(1)]);
}

const NEWLINE = Buffer.from("\n");
const COMMA = Buffer.from(",");
const LIST_END = Buffer.from("]}\n");
const heads = new WeakMap<Kind, Buffer>();

function getTypeHead(kind: Kind): Buffer {
  let head = heads.get(kind);
  if (head === undefined) {
    head = Buffer.from(`{"kind":"${kind.kind}","apiVersion":"${formatApiVersion(kind)}",`, "utf8");
    heads.set(kind, head);
  }
  return head;
}
