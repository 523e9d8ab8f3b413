/** GET of a watch: its start, its initial events and its timeout (`apiserver/pkg/endpoints/handlers/get.go`). */
import { requiredValue } from "../../core/kube/selectors/fields.ts";
import { badRequest, genericServerError } from "../../core/kube/status.ts";
import { assertSelectable, malformedRevisionText, parseRevision } from "../registry/read.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import { openWatch, type WatchStart } from "../registry/watch.ts";
import type { Answer } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import type { Metrics } from "./metrics.ts";
import { assertStreamable } from "./negotiation.ts";
import { type CollectionOptions, parseCollectionOptions } from "./options.ts";
import { LIST_CONVERTIBLE, representationFor } from "./read_handlers.ts";
import { isWatchQuery } from "./request_info.ts";
import { acceptsGzip, baseHeaders } from "./respond.ts";
import type { SharedEncodings } from "./shared_encodings.ts";
import { parseIncludeObject } from "./table.ts";
import { watchBody, watchContentType } from "./watch_stream.ts";

/** kube-apiserver's `--min-request-timeout`: a watch without `timeoutSeconds` lasts between this and twice this time. */
const MIN_WATCH_MS = 1_800_000;

/** Dependencies of a watch: its metrics, and the encodings that it shares with other watches. */
export interface WatchDeps extends RegistryDeps {
  readonly metrics?: Pick<Metrics, "watched">;
  readonly encodings: SharedEncodings;
}

/** Answers a watch of a collection, or of one object by a field selector or the old `/watch/` path. */
export async function handleWatch(deps: WatchDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const representation = representationFor(exchange, LIST_CONVERTIBLE);
  // A request by the old path needs no `watch` parameter, and without it its options are validated like those of a list.
  const parsed = parseCollectionOptions(exchange.query, isWatchQuery(exchange.query));
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
  exchange.onStream?.(ended.promise);
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
  const headers = baseHeaders(exchange, {
    ...(compressed ? { "content-encoding": "gzip", vary: "Accept-Encoding" } : {}),
    "content-type": watchContentType(representation),
  });
  return { status: 200, headers, body: watchBody(watching, format, timing, signal) };
}

/**
 * Selects the name at the end of a path. Throws StatusError 400 when the field selectors do not select the same name.
 */
function selectNamed({ name }: Target, options: CollectionOptions): CollectionOptions {
  if (name === "") return options;
  if (options.fields.length === 0) {
    return { ...options, fields: [{ field: "metadata.name", operator: "=", value: name }] };
  }
  if (requiredValue(options.fields, "metadata.name") !== name) {
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
  throw genericServerError(malformedRevisionText(text));
}

/** Converts the timeout to milliseconds. Go counts nanoseconds in 64 bits, so a too long timeout overflows. */
function toTimeoutMs({ timeoutSeconds = 0 }: CollectionOptions): number | undefined {
  const nanoseconds = BigInt.asIntN(64, BigInt(timeoutSeconds) * 1_000_000_000n);
  return nanoseconds === 0n ? undefined : Number(nanoseconds / 1_000_000n);
}
