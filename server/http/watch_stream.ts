/**
 * The stream of a watch: JSON lines, or protobuf frames (4-byte length and a bare WatchEvent), which are sent until the
 * watch times out, the client disconnects or the server stops.
 */
import { Buffer } from "node:buffer";
import { decodeObject } from "../../core/kube/codec/decode.ts";
import { encodeObject, jsonText } from "../../core/kube/codec/encode.ts";
import { encodeEnvelope, encodeMessage, encodeWatchFrame } from "../../core/kube/codec/protobuf.ts";
import { partialObjectMetadataSchema, statusSchema } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { statusFromError } from "../../core/kube/status.ts";
import type { Clock } from "../../core/ports.ts";
import type { Resource } from "../registry/resource.ts";
import type { RegistryWatch, WatchEvent } from "../registry/watch.ts";
import type { Stored } from "../storage/storage.ts";
import type { AnswerStream } from "./answer.ts";
import { storedJson, toWire, type Wire } from "./encoding.ts";
import type { Representation } from "./negotiation.ts";
import { gzipMember } from "./gzip_member.ts";
import type { SharedEncodings } from "./shared_encodings.ts";
import { createTable, type IncludeObject } from "./table.ts";

/** The encoding of the events of one watch. */
export interface WatchFormat {
  readonly resource: Resource;
  readonly representation: Representation;
  readonly includeObject: IncludeObject;
  readonly clock: Clock;
  /** The encoded events that watches share. */
  readonly encodings: SharedEncodings;
  /** Whether each batch of events is compressed to a gzip member. */
  readonly compressed: boolean;
  /** Called with the number of events that were sent. */
  readonly onEvents: (count: number) => void;
  /** Called once when the stream ends. */
  readonly onEnd: () => void;
}

/** The timeout and the bookmarks of one watch. */
export interface WatchTiming {
  readonly bookmarks: boolean;
  /** The duration of the watch; a negative one ends the watch before it begins. */
  readonly timeoutMs: number;
}

/** kube-apiserver's times (`storage/cacher/cache_watcher.go`). */
const BOOKMARK_INTERVAL_MS = 60_000;
/** The last bookmark lets the client resume close to the end of this watch. */
const LAST_BOOKMARK_BEFORE_END_MS = 2_000;

/** Returns the Content-Type of a watch. */
export function watchContentType(representation: Representation): string {
  return representation.mediaType === "application/vnd.kubernetes.protobuf"
    ? `${representation.mediaType};stream=watch`
    : representation.mediaType;
}

/** Creates the stream of a watch; `signal` ends it cleanly. */
export function watchBody(
  watching: RegistryWatch,
  format: WatchFormat,
  timing: WatchTiming,
  signal: AbortSignal,
): AnswerStream {
  return new WatchStream(watching, format, timing, signal);
}

/** One shared error: the stack makes an error expensive, and a thousand watches may end in a second. */
const OVER = new Error("the watch is over");

class WatchStream implements AnswerStream {
  readonly #watching: RegistryWatch;
  readonly #format: WatchFormat;
  readonly #encode: EventEncoder;
  readonly #endsAt: number;
  readonly #bookmarks: Bookmarks;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.cancel();
  readonly #over = new AbortController();
  #wake: () => void = () => {};
  /** Whether the next events are awaited. */
  #arriving = false;
  #arrived: { readonly events: readonly WatchEvent[] | undefined } | undefined;
  #isAlarmSet = false;

  constructor(watching: RegistryWatch, format: WatchFormat, timing: WatchTiming, signal: AbortSignal) {
    this.#watching = watching;
    this.#format = format;
    this.#encode = createEventEncoder(format);
    const startedAt = format.clock.elapsedMs();
    this.#endsAt = startedAt + timing.timeoutMs;
    this.#bookmarks = createBookmarks(timing, startedAt);
    this.#signal = signal;
    if (signal.aborted) this.cancel();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  async next(): Promise<Uint8Array | undefined> {
    const events = await this.#nextEvents();
    const encoded = events === undefined ? undefined : this.#encode(events);
    if (encoded === undefined || events?.some(({ type }) => type === "ERROR") === true) this.cancel();
    if (encoded !== undefined) this.#format.onEvents(events?.length ?? 0);
    return encoded !== undefined && this.#format.compressed ? await gzipMember(encoded) : encoded;
  }

  cancel(): void {
    if (this.#over.signal.aborted) return;
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#watching[Symbol.dispose]();
    this.#format.onEnd();
    this.#over.abort(OVER);
    this.#wake();
  }

  /** Waits for the next events to send; undefined when the watch is over. */
  async #nextEvents(): Promise<readonly WatchEvent[] | undefined> {
    while (!this.#over.signal.aborted) {
      const now = this.#format.clock.elapsedMs();
      if (now >= this.#endsAt) return undefined;
      if (this.#arrived !== undefined) {
        const { events } = this.#arrived;
        this.#arrived = undefined;
        return events;
      }
      const revision = this.#bookmarks.take(now) ? this.#watching.progress() : undefined;
      if (revision !== undefined) return [{ type: "BOOKMARK", revision, initialEventsEnd: false }];
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#awaitEvents();
        this.#setAlarm(Math.min(this.#endsAt, this.#bookmarks.dueAt()) - now);
      });
    }
    return undefined;
  }

  #awaitEvents(): void {
    if (this.#arriving) return;
    this.#arriving = true;
    this.#watching.next().then((events) => {
      this.#arriving = false;
      this.#arrived = { events };
      this.#wake();
    });
  }

  /** Sets one alarm at a time: the due times only grow, and an early check does no harm. */
  #setAlarm(ms: number): void {
    if (this.#isAlarmSet) return;
    this.#isAlarmSet = true;
    const rung = (): void => {
      this.#isAlarmSet = false;
      this.#wake();
    };
    this.#format.clock.sleep(ms, this.#over.signal).then(rung, rung);
  }
}

/** Plans the bookmarks: about once a minute, and shortly before the end when there is time for it. */
function createBookmarks({ bookmarks, timeoutMs }: WatchTiming, startedAt: number) {
  const lastAt = startedAt + timeoutMs - LAST_BOOKMARK_BEFORE_END_MS;
  let dueAt = bookmarks ? next(startedAt) : Infinity;
  function next(now: number): number {
    return now < lastAt ? Math.min(now + BOOKMARK_INTERVAL_MS, lastAt) : Infinity;
  }
  return {
    dueAt: (): number => dueAt,
    /** Returns whether a bookmark is due, and plans the next one. */
    take(now: number): boolean {
      if (now < dueAt) return false;
      dueAt = next(now);
      return true;
    },
  };
}

type Bookmarks = ReturnType<typeof createBookmarks>;
type EventEncoder = (events: readonly WatchEvent[]) => Uint8Array | undefined;

/**
 * Creates an encoder of event batches, which sends the columns of a Table only once. It returns undefined when the form
 * does not exist, because an object is not a list.
 */
function createEventEncoder(format: WatchFormat): EventEncoder {
  const protobuf = format.representation.mediaType === "application/vnd.kubernetes.protobuf";
  let columnsSent = false;
  const encodeOne = (event: WatchEvent): Uint8Array => {
    const type = event.type;
    if (event.type === "ERROR") return encodeError(event.error, protobuf);
    // The stored bytes are available, but the object of a replaced state would have to be parsed again.
    if (format.representation.as === "object" && (event.type === "ADDED" || event.type === "MODIFIED")) {
      return sharedEvent(format.encodings, format.resource.kind, event.type, event.stored, protobuf);
    }
    const object = getEventObject(event);
    if (format.representation.as === "Table") {
      const line = { type, object: tableObject(format, event, object, columnsSent) };
      columnsSent = true;
      return jsonLine(line);
    }
    const wire = format.representation.as === "object" ? toWire(format.resource.kind) : partialWire(format);
    const shown = format.representation.as === "object" ? object : { metadata: object.metadata };
    if (protobuf) {
      const raw = encodeEnvelope(wire.apiVersion, wire.kind, encodeMessage(wire.schema!, shown));
      return encodeWatchFrame(type, raw);
    }
    return jsonLine({ type, object: encodeObject(wire, shown) });
  };
  return (events) => {
    const isList = format.representation.as === "PartialObjectMetadataList";
    if (isList && events.some((event) => event.type !== "ERROR")) return undefined;
    return events.length === 1 ? encodeOne(events[0]!) : Buffer.concat(events.map(encodeOne));
  };

  function getEventObject(event: Exclude<WatchEvent, { type: "ERROR" }>): KubeObject {
    switch (event.type) {
      case "ADDED":
      case "MODIFIED":
        return event.stored.object;
      case "DELETED":
        return event.object;
      case "BOOKMARK":
        return bookmarkObject(format.resource, event.revision, event.initialEventsEnd);
    }
  }
}

/** Creates an object of the kind with only a resourceVersion, and with the empty fields of Go. */
function bookmarkObject(resource: Resource, revision: number, initialEventsEnd: boolean): KubeObject {
  const { object: empty } = decodeObject(resource.kind.schema, {}, {});
  return {
    ...empty,
    metadata: {
      resourceVersion: String(revision),
      ...(initialEventsEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    },
  };
}

function tableObject(
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

function partialWire(format: WatchFormat): Wire {
  return {
    apiVersion: `meta.k8s.io/${format.representation.metaVersion}`,
    kind: "PartialObjectMetadata",
    schema: partialObjectMetadataSchema,
  };
}

function encodeError(error: unknown, protobuf: boolean): Uint8Array {
  const { status } = statusFromError(error);
  if (protobuf) return encodeWatchFrame("ERROR", encodeEnvelope("v1", "Status", encodeMessage(statusSchema, status)));
  return jsonLine({ type: "ERROR", object: { kind: "Status", apiVersion: "v1", ...status } });
}

const LINE_END = Buffer.from("}\n");

/** Encodes an event with a whole stored object, once for all watches. */
function sharedEvent(
  encodings: SharedEncodings,
  kind: Kind,
  type: string,
  stored: Stored,
  protobuf: boolean,
): Uint8Array {
  const { apiVersion, kind: name } = toWire(kind);
  return encodings.getOrEncode(stored, `${protobuf ? "protobuf" : "json"} ${type} ${apiVersion} ${name}`, () => {
    if (!protobuf) return storedLine(kind, type, stored);
    return encodeWatchFrame(type, encodeEnvelope(apiVersion, name, encodeMessage(kind.schema, stored.object)));
  });
}

/** Encodes an event around the JSON of the stored object. */
function storedLine(kind: Kind, type: string, stored: Stored): Uint8Array {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), storedJson(kind, stored), LINE_END]);
}

function jsonLine(value: object): Uint8Array {
  return Buffer.from(`${jsonText(value)}\n`, "utf8");
}
