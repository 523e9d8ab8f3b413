/**
 * The events of a watch as bytes: JSON lines, or protobuf frames (4-byte length and a bare WatchEvent). An event is encoded
 * once for all watches that send the same form.
 */
import { Buffer } from "node:buffer";
import { decodeObject, encodeObject, jsonText } from "../../core/kube/wire/object_json.ts";
import { partialObjectMetadataSchema, statusSchema } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { statusFromError } from "../../core/kube/status/status.ts";
import type { Clock } from "../../core/ports.ts";
import type { Resource } from "../registry/resource.ts";
import type { WatchEvent } from "../registry/watch.ts";
import type { Stored } from "../storage/storage.ts";
import { encodeStoredJson, toWire, type Wire } from "./respond.ts";
import type { Representation } from "./negotiation.ts";
import { createTable, type IncludeObject } from "./table.ts";
import { encodeEnvelope, encodeWatchFrame } from "../../core/kube/wire/protobuf_envelope.ts";
import { encodeMessage } from "../../core/kube/wire/protobuf.ts";

export interface WatchFormat {
  readonly resource: Resource;
  readonly representation: Representation;
  readonly includeObject: IncludeObject;
  readonly clock: Clock;
  readonly encodings: SharedEncodings;
  /** Whether each batch of events is compressed to a gzip member. */
  readonly compressed: boolean;
  readonly onEvents: (count: number) => void;
  /** Called once when the stream ends. */
  readonly onEnd: () => void;
}

/** Encodes a batch of events; undefined when the requested form cannot represent them. */
export type EventEncoder = (events: readonly WatchEvent[]) => Uint8Array | undefined;

/**
 * Creates an encoder of event batches, which sends the columns of a Table only once. It returns undefined if the
 * client accepts only lists, because no event is a list.
 */
export function createEventEncoder(format: WatchFormat): EventEncoder {
  const protobuf = format.representation.mediaType === "application/vnd.kubernetes.protobuf";
  let columnsSent = false;
  const encodeOne = (event: WatchEvent): Uint8Array => {
    const type = event.type;
    if (event.type === "ERROR") return encodeError(event, protobuf);
    // The stored bytes are available, but the object of a replaced state would have to be parsed again.
    if (format.representation.as === "object" && (event.type === "ADDED" || event.type === "MODIFIED")) {
      return getSharedEvent(format.encodings, format.resource.kind, event.type, event.stored, protobuf);
    }
    const object = getEventObject(format.resource, event);
    if (format.representation.as === "Table") {
      const line = { type, object: createTableObject(format, event, object, columnsSent) };
      columnsSent = true;
      return encodeJsonLine(line);
    }
    const wire = format.representation.as === "object" ? toWire(format.resource.kind) : toPartialWire(format);
    const content = format.representation.as === "object" ? object : { metadata: object.metadata };
    if (protobuf) {
      const raw = encodeEnvelope(wire.apiVersion, wire.kind, encodeMessage(wire.schema!, content));
      return encodeWatchFrame(type, raw);
    }
    return encodeJsonLine({ type, object: encodeObject(wire, content) });
  };
  return (events) => {
    const isList = format.representation.as === "PartialObjectMetadataList";
    if (isList && events.some((event) => event.type !== "ERROR")) return undefined;
    return events.length === 1 ? encodeOne(events[0]!) : Buffer.concat(events.map(encodeOne));
  };
}

function getEventObject(resource: Resource, event: Exclude<WatchEvent, { type: "ERROR" }>): KubeObject {
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
      return event.stored.object;
    case "DELETED":
      return event.object;
    case "BOOKMARK":
      return createBookmarkObject(resource, event.revision, event.initialEventsEnd);
  }
}

/** Creates an object of the kind that has only a resourceVersion and the fields that Go encodes when empty. */
function createBookmarkObject(resource: Resource, revision: number, initialEventsEnd: boolean): KubeObject {
  const { object: empty } = decodeObject(resource.kind.schema, {}, {});
  return {
    ...empty,
    metadata: {
      resourceVersion: String(revision),
      ...(initialEventsEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    },
  };
}

function createTableObject(
  format: WatchFormat,
  event: Exclude<WatchEvent, { type: "ERROR" }>,
  object: KubeObject,
  columnsSent: boolean,
): object {
  const { resource, representation, includeObject, clock } = format;
  const metaVersion = representation.metaVersion;
  const metadata = { resourceVersion: object.metadata.resourceVersion ?? "" };
  // An annotation of the row's object marks the end of the initial events, so this row always has its object.
  const isInitialEnd = event.type === "BOOKMARK" && event.initialEventsEnd;
  const include = isInitialEnd && includeObject === "None" ? "Metadata" : includeObject;
  const table = createTable(resource, metadata, [object], include, metaVersion, clock.now());
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${metaVersion}`,
    metadata: table.metadata,
    columnDefinitions: columnsSent ? null : table.columnDefinitions,
    rows: table.rows,
  };
}

function toPartialWire(format: WatchFormat): Wire {
  return {
    apiVersion: `meta.k8s.io/${format.representation.metaVersion}`,
    kind: "PartialObjectMetadata",
    schema: partialObjectMetadataSchema,
  };
}

function encodeError(event: WatchEvent & { readonly type: "ERROR" }, protobuf: boolean): Uint8Array {
  const { status } = statusFromError(event.error);
  if (!protobuf) return encodeJsonLine({ type: event.type, object: { kind: "Status", apiVersion: "v1", ...status } });
  return encodeWatchFrame("ERROR", encodeEnvelope("v1", "Status", encodeMessage(statusSchema, status)));
}

const LINE_END = Buffer.from("}\n");

/** Encodes an event with a whole stored object, once for all watches. */
function getSharedEvent(
  encodings: SharedEncodings,
  kind: Kind,
  type: string,
  stored: Stored,
  protobuf: boolean,
): Uint8Array {
  const { apiVersion, kind: name } = toWire(kind);
  return encodings.getOrEncode(stored, `${protobuf ? "protobuf" : "json"} ${type} ${apiVersion} ${name}`, () => {
    if (!protobuf) return encodeStoredLine(kind, type, stored);
    return encodeWatchFrame(type, encodeEnvelope(apiVersion, name, encodeMessage(kind.schema, stored.object)));
  });
}

function encodeStoredLine(kind: Kind, type: string, stored: Stored): Uint8Array {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), encodeStoredJson(kind, stored), LINE_END]);
}

function encodeJsonLine(value: object): Uint8Array {
  return Buffer.from(`${jsonText(value)}\n`, "utf8");
}

/**
 * The largest number of cached states. All watches get an event almost at the same time, so a few states are enough.
 */
const MAX_STATES = 256;
/** The largest number of cached bytes. */
const MAX_BYTES = 16 * 1_048_576;

/** Encodes each stored state once for each form. */
export class SharedEncodings {
  readonly #known = new Map<Stored, Map<string, Uint8Array>>();
  #bytes = 0;

  getOrEncode(stored: Stored, form: string, encode: () => Uint8Array): Uint8Array {
    const found = this.#known.get(stored)?.get(form);
    if (found !== undefined) return found;
    const bytes = encode();
    const forms = this.#known.get(stored) ?? new Map<string, Uint8Array>();
    this.#known.set(stored, forms.set(form, bytes));
    this.#bytes += bytes.length;
    this.#evict();
    return bytes;
  }

  /** Removes the oldest states beyond the limits. */
  #evict(): void {
    for (const [stored, forms] of this.#known) {
      if (this.#known.size <= MAX_STATES && this.#bytes <= MAX_BYTES) return;
      this.#known.delete(stored);
      for (const bytes of forms.values()) this.#bytes -= bytes.length;
    }
  }
}
