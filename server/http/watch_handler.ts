/** GET of a watch: when it starts, what it tells first, how long it lives (`apiserver/pkg/endpoints/handlers/get.go`). */
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

/** kube-apiserver's `--min-request-timeout`: a watch without `timeoutSeconds` lives this long, up to twice. */
const MIN_WATCH_MS = 1_800_000;

/** What a watch needs and shares with others, and who is told how much is sent. */
export interface WatchDeps extends RegistryDeps {
  readonly metrics?: Pick<Metrics, "watched">;
  readonly encodings: SharedEncodings;
}

/** A watch on a collection, or on one object through a field selector or the old `/watch/` path. */
export async function handleWatch(deps: WatchDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const representation = representationFor(exchange, LIST_CONVERTIBLE);
  // On the old path nothing needs to ask for a watch, and what does not is read like a list.
  const isAsked = isWatchQuery(exchange.query);
  const parsed = parseCollectionOptions(exchange.query, isAsked);
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
    // It is the watch cache that makes bookmarks.
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
 * The selection of a path that ends in a name: that name alone. Throws StatusError 400 when there are field selectors
 * and none of them says the same.
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

/** A streaming list says when what there is has been told. */
function isStreamingList({ sendInitialEvents, allowWatchBookmarks }: CollectionOptions): boolean {
  return sendInitialEvents === true && allowWatchBookmarks;
}

function toWatchStart(options: CollectionOptions): WatchStart {
  const { labels, fields, resourceVersion, sendInitialEvents } = options;
  const revision = parseStartRevision(resourceVersion);
  return {
    labels,
    fields,
    // Changes after a revision that is still to come are told once they come; a state of then has to be there first.
    notBefore: sendInitialEvents === true ? revision : 0,
    afterRevision: sendInitialEvents === true || revision === 0 ? undefined : revision,
    initialEvents: sendInitialEvents ?? revision === 0,
    initialEventsEnd: isStreamingList(options),
  };
}

/** Zero stands for any version. Throws StatusError 500. */
function parseStartRevision(text: string): number {
  const revision = text === "" ? 0 : parseRevision(text);
  if (revision !== undefined) return revision;
  throw genericServerError(malformedRevisionText(text));
}

/** Go counts nanoseconds in 64 bits: what is too long comes out as something else. */
function toTimeoutMs({ timeoutSeconds = 0 }: CollectionOptions): number | undefined {
  const nanoseconds = BigInt.asIntN(64, BigInt(timeoutSeconds) * 1_000_000_000n);
  return nanoseconds === 0n ? undefined : Number(nanoseconds / 1_000_000n);
}
