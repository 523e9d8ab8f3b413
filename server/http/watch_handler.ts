/**
 * Answers the GET of a watch: its start, initial events and timeout (`apiserver/pkg/endpoints/handlers/get.go`), and
 * its stream, which ends when the watch times out, the client disconnects or the server stops.
 */
import { findRequiredName } from "../../core/kube/selectors.ts";
import { badRequest, genericServerError } from "../../core/kube/status/status.ts";
import { assertSelectable, formatMalformedRevision, parseRevision } from "../registry/read.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import { openWatch, type RegistryWatch, type WatchEvent, type WatchStart } from "../registry/watch.ts";
import type { Answer, AnswerStream } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { assertStreamable, type Representation } from "./negotiation.ts";
import { type CollectionOptions, parseCollectionOptions } from "./options.ts";
import { chooseRepresentation, LIST_CONVERTIBLE } from "./read_handlers.ts";
import { parseBoolean } from "./request_info.ts";
import { acceptsGzip, createBaseHeaders } from "./respond.ts";
import { createEventEncoder, type EventEncoder, type SharedEncodings, type WatchFormat } from "./watch_events.ts";
import { parseIncludeObject } from "./table.ts";
import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

/** kube-apiserver's `--min-request-timeout`: a watch without `timeoutSeconds` lasts between this and twice this time. */
const MIN_WATCH_MS = 1_800_000;

/** The resource that a watch observes. */
export interface WatchedResource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/** Dependencies of a watch: its metrics, and the encodings that it shares with other watches. */
export interface WatchDeps extends RegistryDeps {
  readonly metrics?: { watched(resource: WatchedResource, events: number): void };
  readonly encodings: SharedEncodings;
}

/** Answers a watch of a collection, or of one object by a field selector or the legacy `/watch/` path. */
export async function handleWatch(deps: WatchDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const representation = chooseRepresentation(exchange, LIST_CONVERTIBLE);
  // A request to the legacy path needs no `watch` parameter. Without it, its options are validated like those of a
  // list.
  const parsed = parseCollectionOptions(exchange.query, parseBoolean(exchange.query, "watch") === true);
  assertSelectable(target.resource, parsed.fields);
  const options = selectNamed(target, parsed);
  const start = toWatchStart(options);
  const includeObject = representation.as === "Table" ? parseIncludeObject(exchange.query) : "Metadata";
  assertStreamable(representation);
  const signal = exchange.signal();
  const watching = await openWatch(deps, { ...target, name: "" }, start, signal);

  const compressed = isStreamingList(options) && acceptsGzip(exchange);
  const { group, version, plural } = target.resource.kind;
  const ended = Promise.withResolvers<void>();
  exchange.beginStream(ended.promise);
  const watched = { group, version, resource: plural };
  const format = {
    resource: target.resource,
    representation,
    includeObject,
    clock: deps.clock,
    encodings: deps.encodings,
    compressed,
    onEvents: (count: number) => deps.metrics?.watched(watched, count),
    onEnd: ended.resolve,
  };
  const timing = {
    // In kube-apiserver the watch cache creates the bookmarks.
    bookmarks: options.allowWatchBookmarks && target.resource.uncached !== true,
    timeoutMs: toTimeoutMs(options) ?? MIN_WATCH_MS * (1 + deps.random.float()),
  };
  const headers = createBaseHeaders(exchange, {
    ...(compressed ? { "content-encoding": "gzip", vary: "Accept-Encoding" } : {}),
    "content-type": getWatchContentType(representation),
  });
  return { status: 200, headers, body: new WatchStream(watching, format, timing, signal) };
}

/**
 * Selects the name at the end of a path. Throws StatusError 400 when the field selectors do not select the same name.
 */
function selectNamed({ name }: Target, options: CollectionOptions): CollectionOptions {
  if (name === "") return options;
  if (options.fields.length === 0) {
    return { ...options, fields: [{ field: "metadata.name", operator: "=", value: name }] };
  }
  if (findRequiredName(options.fields) !== name) {
    throw badRequest("fieldSelector metadata.name doesn't match requested name");
  }
  return options;
}

/** Whether the watch is a streaming list, whose initial events end with a bookmark. */
function isStreamingList({ sendInitialEvents, allowWatchBookmarks }: CollectionOptions): boolean {
  return sendInitialEvents === true && allowWatchBookmarks;
}

function toWatchStart(options: CollectionOptions): WatchStart {
  const { labels, fields, resourceVersion, sendInitialEvents } = options;
  const revision = parseStartRevision(resourceVersion);
  return {
    labels,
    fields,
    // A watch may start after a future revision, but initial events need the state at that revision.
    notBefore: sendInitialEvents === true ? revision : 0,
    afterRevision: sendInitialEvents === true || revision === 0 ? undefined : revision,
    initialEvents: sendInitialEvents ?? revision === 0,
    initialEventsEnd: isStreamingList(options),
  };
}

/** Parses the start of a watch; zero means any version. Throws StatusError 500. */
function parseStartRevision(text: string): number {
  const revision = text === "" ? 0 : parseRevision(text);
  if (revision !== undefined) return revision;
  throw genericServerError(formatMalformedRevision(text));
}

/** Converts the timeout to milliseconds. Go counts nanoseconds in 64 bits, so a too long timeout overflows. */
function toTimeoutMs({ timeoutSeconds = 0 }: CollectionOptions): number | undefined {
  const nanoseconds = BigInt.asIntN(64, BigInt(timeoutSeconds) * 1_000_000_000n);
  return nanoseconds === 0n ? undefined : Number(nanoseconds / 1_000_000n);
}

interface WatchTiming {
  readonly bookmarks: boolean;
  /** The duration of the watch; a negative one ends the watch before it begins. */
  readonly timeoutMs: number;
}

// The times of kube-apiserver (`storage/cacher/cache_watcher.go`).
const BOOKMARK_INTERVAL_MS = 60_000;
/** The last bookmark lets the client resume close to the end of this watch. */
const LAST_BOOKMARK_BEFORE_END_MS = 2_000;

function getWatchContentType(representation: Representation): string {
  return representation.mediaType === "application/vnd.kubernetes.protobuf"
    ? `${representation.mediaType};stream=watch`
    : representation.mediaType;
}

/** One shared error, because its stack makes an error expensive, and a thousand watches may end in a second. */
const ENDED = new Error("the watch has ended");

/** The stream of a watch; its signal ends it cleanly. */
class WatchStream implements AnswerStream {
  readonly #watching: RegistryWatch;
  readonly #format: WatchFormat;
  readonly #encode: EventEncoder;
  readonly #endsAt: number;
  readonly #bookmarks: Bookmarks;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.cancel();
  readonly #ended = new AbortController();
  #wake: () => void = () => {};
  /** Whether a call of `#watching.next()` is pending. */
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
    return encoded !== undefined && this.#format.compressed ? await compressMember(encoded) : encoded;
  }

  cancel(): void {
    if (this.#ended.signal.aborted) return;
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#watching[Symbol.dispose]();
    this.#format.onEnd();
    this.#ended.abort(ENDED);
    this.#wake();
  }

  /** Waits for the next events to send; undefined when the watch has ended. */
  async #nextEvents(): Promise<readonly WatchEvent[] | undefined> {
    while (!this.#ended.signal.aborted) {
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

  /** Sets one alarm at a time. The due times only grow, and an early check does no harm. */
  #setAlarm(ms: number): void {
    if (this.#isAlarmSet) return;
    this.#isAlarmSet = true;
    const ring = (): void => {
      this.#isAlarmSet = false;
      this.#wake();
    };
    this.#format.clock.sleep(ms, this.#ended.signal).then(ring, ring);
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

/** The header of a member: magic number, deflate, no flags, no time, no hints, unknown system. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/** An empty last block of a deflate stream. */
const LAST_BLOCK = Buffer.from([3, 0]);

const deflate = promisify(deflateRaw);

/**
 * Compresses bytes to one gzip member with an empty last block. Go's reader, and so client-go, returns the data before the
 * last block at once, but keeps the data of the last block until it has read the head of the next member.
 */
export async function compressMember(bytes: Uint8Array): Promise<Uint8Array> {
  const blocks = await deflate(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([HEADER, blocks, LAST_BLOCK, trailer]);
}
