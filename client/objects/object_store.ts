/**
 * The `ObjectStore` port over a Kubernetes API, remote or in process: typed verbs, and changes by watch. A collection is
 * followed by watch-list where the server supports it, else by list and watch; following resumes after a failure and starts
 * over when the history has expired (client-go `tools/cache/reflector.go`).
 */
import { AppError, isAppError } from "../../core/errors.ts";
import { type KubeObject, toObjectKey } from "../../core/kube/meta.ts";
import { formatApiVersion, formatCollectionPath, formatObjectPath, type Kind } from "../../core/kube/schema.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import type { Clock, Logger, ObjectChange, ObjectStore, Random, Transport } from "../../core/ports.ts";
import { type ApiClient, createApiClient, isGone, listAll, type QueryParameters, withQuery } from "./api.ts";
import { decodeWatchEvent, readJsonLines } from "./watch_events.ts";
import { limitTime } from "../transport/time_limit.ts";

/** The objects of a store, and its clock, randomness and logger. */
export interface ObjectStoreOptions {
  /** The namespace of a namespaced kind. When absent, all namespaces: then only `list`, `changes` and `update` work. */
  readonly namespace?: string;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Receives each failure of `changes` before the next try. When it throws, `changes` ends. */
  readonly onFailure?: (error: AppError) => void;
}

/** Creates a store of the objects of one kind over a transport. */
export function createObjectStore<T extends KubeObject>(
  transport: Transport,
  kind: Kind,
  options: ObjectStoreOptions,
): ObjectStore<T> {
  const api = createApiClient(transport, options);
  const namespace = options.namespace ?? "";
  const collection = formatCollectionPath(kind, namespace);
  const selectors = { fieldSelector: options.fieldSelector, labelSelector: options.labelSelector };
  // Items of lists have neither field, but the API requires both.
  const typed = (object: T): T => ({ apiVersion: formatApiVersion(kind), kind: kind.kind, ...object });
  return {
    async get(name, signal) {
      try {
        return await api.requestObject<T>({ method: "GET", path: formatObjectPath(kind, name, namespace) }, signal);
      } catch (error) {
        if (isAppError(error, "not_found")) return undefined;
        throw error;
      }
    },
    list: async (signal) => (await listAll<T>(api, collection, selectors, signal)).items,
    create: (object, signal) => api.requestObject<T>({ method: "POST", path: collection, body: typed(object) }, signal),
    update(object, signal, subresource) {
      const own = formatObjectPath(kind, object.metadata.name ?? "", object.metadata.namespace ?? namespace);
      const path = subresource === undefined ? own : `${own}/${subresource}`;
      return api.requestObject<T>({ method: "PUT", path, body: typed(object) }, signal);
    },
    async delete(name, signal, options = {}) {
      const { propagationPolicy, ...preconditions } = options;
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
        ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
      };
      await api.requestJson({ method: "DELETE", path: formatObjectPath(kind, name, namespace), body }, signal);
    },
    changes: (signal) => followChanges<T>({ api, collection, selectors, ...options }, signal),
  };
}

/** The collection to follow, and the adapters. */
interface FollowOptions extends Pick<ObjectStoreOptions, "clock" | "random" | "logger" | "onFailure"> {
  readonly api: ApiClient;
  /** The path of the collection. */
  readonly collection: string;
  readonly selectors: QueryParameters;
}

/** A watch that ends sooner without an event has failed (client-go: "very short watch"). */
const SHORT_WATCH_MS = 1_000;
/** How long a watch may stay open beyond its timeout before its connection counts as dead. */
const SILENCE_GRACE_MS = 30_000;

/** The position of a follower between two requests. */
interface Position {
  /** `list` starts over; `watch` continues after `resourceVersion`. */
  next: "list" | "watch";
  resourceVersion: string;
  /** False after the server has refused a watch-list. */
  watchList: boolean;
  /** The number of failures since the last success. */
  failures: number;
}

/**
 * Yields every object, then `synced`, then each change once. Only the signal ends it, or an error that `onFailure`
 * throws.
 */
async function* followChanges<T extends KubeObject>(
  options: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<ObjectChange<T>> {
  const known = createKnownObjects<T>();
  const position: Position = { next: "list", resourceVersion: "", watchList: true, failures: 0 };
  while (true) {
    signal.throwIfAborted();
    try {
      if (position.next === "watch") {
        yield* readWatch(options, known, position, { resourceVersion: position.resourceVersion }, signal);
      } else if (position.watchList) yield* watchFromStart(options, known, position, signal);
      else yield* listFromStart(options, known, position, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      if (position.next === "list" && position.watchList && isWatchListRefusal(error)) {
        options.logger.debug("watch-list is not supported, listing instead", { collection: options.collection });
        position.watchList = false;
        continue;
      }
      recover(position, error);
      options.onFailure?.(error);
      await pause(options, position, error, signal);
    }
  }
}

async function* watchFromStart<T extends KubeObject>(
  options: FollowOptions,
  known: KnownObjects<T>,
  position: Position,
  signal: AbortSignal,
): AsyncGenerator<ObjectChange<T>> {
  known.beginListing();
  const parameters = {
    sendInitialEvents: "true",
    resourceVersionMatch: "NotOlderThan",
    ...(position.resourceVersion === "" ? {} : { resourceVersion: position.resourceVersion }),
  };
  yield* readWatch(options, known, position, parameters, signal);
  if (position.next === "watch") return;
  throw new AppError("unreachable", `cannot watch "${options.collection}": the list was cut off`, { retryable: true });
}

async function* listFromStart<T extends KubeObject>(
  options: FollowOptions,
  known: KnownObjects<T>,
  position: Position,
  signal: AbortSignal,
): AsyncGenerator<ObjectChange<T>> {
  // The first list may be served from any cache; a later one must not be older than the state already seen.
  const parameters = { ...options.selectors, resourceVersion: position.resourceVersion || "0" };
  const listing = await listAll<T>(options.api, options.collection, parameters, signal);
  known.beginListing();
  for (const object of listing.items) yield* known.change(object);
  yield* known.endListing();
  position.next = "watch";
  position.resourceVersion = listing.resourceVersion;
  position.failures = 0;
  yield { kind: "synced" };
}

async function* readWatch<T extends KubeObject>(
  options: FollowOptions,
  known: KnownObjects<T>,
  position: Position,
  parameters: QueryParameters,
  signal: AbortSignal,
): AsyncGenerator<ObjectChange<T>> {
  const startedAt = options.clock.elapsedMs();
  // As in client-go, 5 to 10 minutes, so that watches are spread over the servers again and again.
  const timeoutSeconds = 300 + Math.floor(options.random.float() * 300);
  const query = {
    ...options.selectors,
    ...parameters,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(timeoutSeconds),
    watch: "true",
  };
  // Without a limit, a dead connection would look like a quiet one.
  await using limit = limitTime(
    options.clock,
    timeoutSeconds * 1000 + SILENCE_GRACE_MS,
    () => new AppError("unreachable", "cannot watch: the connection went silent", { retryable: true }),
    signal,
  );
  const answer = await options.api.open({ method: "GET", path: withQuery(options.collection, query) }, limit.signal);
  let events = 0;
  for await (const received of readJsonLines(answer.body)) {
    const event = decodeWatchEvent<T>(received);
    events++;
    position.failures = 0;
    if (event.kind === "bookmark") {
      position.resourceVersion = event.resourceVersion || position.resourceVersion;
      if (event.initialEventsEnd && position.next === "list") {
        position.next = "watch";
        yield* known.endListing();
        yield { kind: "synced" };
      }
      continue;
    }
    // Initial events are ordered by name, so their versions are no position to resume from.
    if (position.next === "watch") {
      position.resourceVersion = event.object.metadata.resourceVersion ?? position.resourceVersion;
    }
    yield* event.kind === "changed" ? known.change(event.object) : known.delete(event.object);
  }
  signal.throwIfAborted();
  if (events === 0 && options.clock.elapsedMs() - startedAt < SHORT_WATCH_MS) {
    throw new AppError("api_error", `cannot watch "${options.collection}": the watch ended at once`, {
      retryable: true,
    });
  }
}

/** Reports whether the server does not support watch-lists. As in client-go, errors that may pass do not count. */
function isWatchListRefusal(error: AppError): boolean {
  if (["unreachable", "tls_untrusted", "unauthorized", "access_denied"].includes(error.code)) return false;
  return !isGone(error) && !isTooLarge(error) && !(error instanceof StatusError && error.status.code === 429);
}

/** Reports whether the server has not reached the requested version: it lost history, or lags behind another server. */
function isTooLarge(error: unknown): boolean {
  return error instanceof StatusError &&
    (error.status.details?.causes ?? []).some((cause) => cause.reason === "ResourceVersionTooLarge");
}

function recover(position: Position, error: AppError): void {
  position.failures++;
  if (isGone(error) || isTooLarge(error)) {
    position.next = "list";
    // The refused version would be refused again.
    position.resourceVersion = "";
    return;
  }
  // After a broken connection, or with an overloaded or restarting server, the watch resumes.
  if (position.next === "watch" && !error.retryable && !isAppError(error, "unauthorized", "access_denied")) {
    position.next = "list";
  }
}

async function pause(
  options: FollowOptions,
  position: Position,
  error: AppError,
  signal: AbortSignal,
): Promise<void> {
  const delayMs = reconnectDelayMs(position.failures - 1, () => options.random.float());
  options.logger.warn("watch failed, trying again", {
    collection: options.collection,
    code: error.code,
    error: error.message,
    delayMs,
  });
  await options.clock.sleep(delayMs, signal);
}

const FIRST_DELAY_MS = 800;
const MAX_DELAY_MS = 30_000;

/**
 * Returns the milliseconds before try `attempt` + 1 (attempts count from 0): 800 ms, doubled up to 30 s, then up to
 * twice that by jitter, so that a thousand nodes do not reconnect at once (client-go `tools/cache/reflector.go`).
 *
 * @param random uniform in [0, 1)
 */
export function reconnectDelayMs(attempt: number, random: () => number): number {
  // 2^6 already exceeds the cap; a larger exponent would only overflow.
  const base = Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt, 6), MAX_DELAY_MS);
  return Math.round(base * (1 + random()));
}

/**
 * The objects that a watch has delivered, by namespace and name: they filter repeated versions and show which deletions
 * were missed.
 */
interface KnownObjects<T extends KubeObject> {
  /** Records an object and returns the changes to deliver: none when this version was delivered before. */
  change(object: T): readonly ObjectChange<T>[];
  /** Records a deletion and returns the changes to deliver: none when the object was not known. */
  delete(object: T): readonly ObjectChange<T>[];
  /** Begins a complete listing: objects that `change` does not receive before `endListing` have been deleted. */
  beginListing(): void;
  /** Ends the listing and returns the deletions that were missed. */
  endListing(): readonly ObjectChange<T>[];
}

function createKnownObjects<T extends KubeObject>(): KnownObjects<T> {
  const known = new Map<string, T>();
  let unseen = new Set<string>();
  return {
    change(object) {
      const key = toObjectKey(object);
      const before = known.get(key);
      unseen.delete(key);
      if (before !== undefined && isSameVersion(before, object)) return [];
      known.set(key, object);
      // Deleted and created again between two events: the deletion of the first one is delivered too.
      const replaced = before !== undefined && before.metadata.uid !== object.metadata.uid;
      return [
        ...(replaced ? [{ kind: "deleted", object: before } as const] : []),
        { kind: "changed", object },
      ];
    },
    delete(object) {
      unseen.delete(toObjectKey(object));
      return known.delete(toObjectKey(object)) ? [{ kind: "deleted", object }] : [];
    },
    beginListing() {
      unseen = new Set(known.keys());
    },
    endListing() {
      const deleted: ObjectChange<T>[] = [];
      for (const key of unseen) {
        const object = known.get(key);
        if (object !== undefined) deleted.push({ kind: "deleted", object });
        known.delete(key);
      }
      unseen = new Set();
      return deleted;
    },
  };
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}
