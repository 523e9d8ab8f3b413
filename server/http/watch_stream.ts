/**
 * Watches on the wire: JSON lines, or protobuf frames (4-byte length and a bare WatchEvent), sent as they happen until
 * the time is up, the client goes or the server stops.
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
import type { WatchEvent, Watching } from "../registry/watch.ts";
import type { Stored } from "../storage/storage.ts";
import { storedJson, type Wire, wireOf } from "./encoding.ts";
import type { Representation } from "./negotiation.ts";
import { type IncludeObject, tableOf } from "./table.ts";

/** How the events of one watch are written. */
export interface WatchFormat {
  readonly resource: Resource;
  readonly representation: Representation;
  readonly includeObject: IncludeObject;
  readonly clock: Clock;
}

/** When bookmarks are due. */
export interface WatchTiming {
  readonly bookmarks: boolean;
  /** How long the watch lives, in seconds. */
  readonly timeoutSeconds: number;
}

const BOOKMARK_INTERVAL_MS = 60_000;
/** A last bookmark lets the client resume close to where it stopped. */
const LAST_BOOKMARK_BEFORE_END_MS = 2_000;

/** The Content-Type of a watch. */
export function watchContentType(representation: Representation): string {
  return representation.mediaType === "application/vnd.kubernetes.protobuf"
    ? `${representation.mediaType};stream=watch`
    : representation.mediaType;
}

/** Streams a watch; `signal` ends it cleanly. */
export function watchBody(
  watching: Watching,
  format: WatchFormat,
  timing: WatchTiming,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  const encoder = createEventEncoder(format);
  const over = new AbortController();
  const endsAt = format.clock.now().getTime() + timing.timeoutSeconds * 1000;
  const stop = () => over.abort(new Error("the watch is over"));
  signal.addEventListener("abort", stop, { once: true });
  const finish = () => {
    signal.removeEventListener("abort", stop);
    watching[Symbol.dispose]();
    over.abort(new Error("the watch is over"));
  };

  let pending: Promise<readonly WatchEvent[] | undefined> | undefined;
  let nextBookmarkAt = format.clock.now().getTime() + BOOKMARK_INTERVAL_MS;
  // Without the time for it there is no last bookmark.
  let lastBookmarkSent = timing.timeoutSeconds * 1000 <= LAST_BOOKMARK_BEFORE_END_MS;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      while (true) {
        pending ??= watching.next();
        const now = format.clock.now().getTime();
        const wakeAt = nextWake(timing, endsAt, nextBookmarkAt, lastBookmarkSent);
        const outcome = await raceEvents(pending, format.clock, new Date(Math.max(wakeAt, now)), over.signal);
        if (outcome.kind === "events") {
          pending = undefined;
          if (outcome.events === undefined) break;
          controller.enqueue(encoder(outcome.events));
          if (outcome.events.some((event) => event.type === "ERROR")) break;
          return;
        }
        if (outcome.kind === "over") break;
        const at = format.clock.now().getTime();
        if (at >= endsAt) break;
        if (timing.bookmarks) {
          nextBookmarkAt = at + BOOKMARK_INTERVAL_MS;
          if (at >= endsAt - LAST_BOOKMARK_BEFORE_END_MS) lastBookmarkSent = true;
          controller.enqueue(
            encoder([{ type: "BOOKMARK", revision: watching.revision(), initialEventsEnd: false }]),
          );
          return;
        }
      }
      finish();
      controller.close();
    },
    cancel() {
      finish();
    },
  }, { highWaterMark: 0 });
}

type Outcome =
  | { readonly kind: "events"; readonly events: readonly WatchEvent[] | undefined }
  | { readonly kind: "timer" }
  | { readonly kind: "over" };

async function raceEvents(
  events: Promise<readonly WatchEvent[] | undefined>,
  clock: Clock,
  wakeAt: Date,
  over: AbortSignal,
): Promise<Outcome> {
  if (over.aborted) return { kind: "over" };
  const timer = new AbortController();
  const stop = () => timer.abort(over.reason);
  over.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([
      events.then((value): Outcome => ({ kind: "events", events: value })),
      clock.sleepUntil(wakeAt, timer.signal).then(
        (): Outcome => ({ kind: "timer" }),
        (): Outcome => ({ kind: "over" }),
      ),
    ]);
  } finally {
    over.removeEventListener("abort", stop);
    timer.abort(new Error("no longer waiting"));
  }
}

function nextWake(timing: WatchTiming, endsAt: number, nextBookmarkAt: number, lastSent: boolean): number {
  if (!timing.bookmarks) return endsAt;
  const last = endsAt - LAST_BOOKMARK_BEFORE_END_MS;
  return Math.min(endsAt, nextBookmarkAt, lastSent ? endsAt : last);
}

/** An encoder of event batches; it remembers whether the Table's columns have been sent. */
function createEventEncoder(format: WatchFormat): (events: readonly WatchEvent[]) => Uint8Array {
  const protobuf = format.representation.mediaType === "application/vnd.kubernetes.protobuf";
  let columnsSent = false;
  const encodeOne = (event: WatchEvent): Uint8Array => {
    const type = event.type;
    if (event.type === "ERROR") return encodeError(event.error, protobuf);
    const object = objectOf(event);
    if (format.representation.as === "Table") {
      const line = { type, object: tableObject(format, event, object, columnsSent) };
      columnsSent ||= event.type !== "BOOKMARK";
      return jsonLine(line);
    }
    const wire = format.representation.as === "object" ? wireOf(format.resource.kind) : partialWire(format);
    const shown = format.representation.as === "object" ? object : { metadata: object.metadata };
    if (!protobuf && format.representation.as === "object" && (event.type === "ADDED" || event.type === "MODIFIED")) {
      return storedLine(format.resource.kind, event.type, event.stored);
    }
    if (protobuf) {
      const raw = encodeEnvelope(wire.apiVersion, wire.kind, encodeMessage(wire.schema!, shown));
      return encodeWatchFrame(type, raw);
    }
    return jsonLine({ type, object: encodeObject(wire, shown) });
  };
  return (events) => events.length === 1 ? encodeOne(events[0]!) : Buffer.concat(events.map(encodeOne));

  function objectOf(event: Exclude<WatchEvent, { type: "ERROR" }>): KubeObject {
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

/** An object of the kind with nothing but a resourceVersion; empty fields as Go fills them. */
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
  const rows = event.type === "BOOKMARK" ? [] : [object];
  const table = tableOf(resource, metadata, rows, includeObject, metaVersion, clock.now());
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${metaVersion}`,
    metadata: table.metadata,
    columnDefinitions: columnsSent ? [] : table.columnDefinitions,
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

/** An event around the JSON that is kept of every stored object. */
function storedLine(kind: Kind, type: string, stored: Stored): Uint8Array {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), storedJson(kind, stored), LINE_END]);
}

function jsonLine(value: object): Uint8Array {
  return Buffer.from(`${jsonText(value)}\n`, "utf8");
}
