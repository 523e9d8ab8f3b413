/**
 * Follows a collection for ever: watch-list where the server has it, else list and watch; resumes where it was, starts
 * over when history is gone (client-go `tools/cache/reflector.go`; `api-wire.md` §9.5, §9.6, §17).
 */
import { AppError, isAppError } from "../core/errors.ts";
import type { KubeObject } from "../core/kube/meta.ts";
import { StatusError } from "../core/kube/status.ts";
import type { Change, Clock, Logger, Random } from "../core/ports.ts";
import type { ApiClient } from "./api.ts";
import { reconnectDelayMs } from "./backoff.ts";
import { limitTime } from "./time_limit.ts";
import { readJsonLines } from "./json_lines.ts";
import { createKnownObjects, type KnownObjects } from "./known_objects.ts";
import { isGone, listAll, withQuery } from "./listing.ts";
import { decodeWatchEvent } from "./watch_events.ts";

/** What is followed, and with what. */
export interface FollowOptions {
  readonly api: ApiClient;
  /** Path of the collection. */
  readonly collection: string;
  readonly selectors: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFailure?: (error: AppError) => void;
}

/** A watch that ends sooner without an event did not work (client-go "very short watch"). */
const SHORT_WATCH_MS = 1_000;
/** How much longer than agreed an open watch may stay silent before it is given up as dead. */
const SILENCE_GRACE_MS = 30_000;

/** Where a follower stands between two requests. */
interface Position {
  /** `list` starts over; `watch` goes on after `resourceVersion`. */
  next: "list" | "watch";
  resourceVersion: string;
  /** False once the server has shown that it does not know watch-lists. */
  watchList: boolean;
  /** Failures since something last worked. */
  failures: number;
}

/** Every object, `synced`, then each change once; ends by the signal only (or by what `onFailure` throws). */
export async function* followChanges<T extends KubeObject>(
  options: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<Change<T>> {
  const known = createKnownObjects<T>();
  const position: Position = { next: "list", resourceVersion: "", watchList: true, failures: 0 };
  while (true) {
    signal.throwIfAborted();
    try {
      if (position.next === "watch") yield* watchOn(options, known, position, signal);
      else if (position.watchList) yield* watchFromStart(options, known, position, signal);
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
): AsyncGenerator<Change<T>> {
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
): AsyncGenerator<Change<T>> {
  // The first list may come from any cache; a later one must not go back in time.
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

async function* watchOn<T extends KubeObject>(
  options: FollowOptions,
  known: KnownObjects<T>,
  position: Position,
  signal: AbortSignal,
): AsyncGenerator<Change<T>> {
  yield* readWatch(options, known, position, { resourceVersion: position.resourceVersion }, signal);
}

async function* readWatch<T extends KubeObject>(
  options: FollowOptions,
  known: KnownObjects<T>,
  position: Position,
  parameters: Readonly<Record<string, string>>,
  signal: AbortSignal,
): AsyncGenerator<Change<T>> {
  const startedAt = options.clock.elapsedMs();
  // client-go: 5 to 10 minutes, so that watches spread over the servers again and again.
  const timeoutSeconds = 300 + Math.floor(options.random.float() * 300);
  const query = {
    ...options.selectors,
    ...parameters,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(timeoutSeconds),
    watch: "true",
  };
  // A dead connection must not look like a quiet one for ever.
  await using limit = limitTime(
    options.clock,
    timeoutSeconds * 1000 + SILENCE_GRACE_MS,
    () => new AppError("unreachable", "cannot watch: the connection went silent", { retryable: true }),
    signal,
  );
  const answer = await options.api.open({ method: "GET", path: withQuery(options.collection, query) }, limit.signal);
  let events = 0;
  for await (const line of readJsonLines(answer.body)) {
    const event = decodeWatchEvent<T>(line);
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
    // Initial events come in the order of names: only after their end does a version say where to go on.
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

/** Any refusal sends client-go back to lists, but for those that a later try may cure. */
function isWatchListRefusal(error: AppError): boolean {
  if (["unreachable", "tls_untrusted", "unauthorized", "access_denied"].includes(error.code)) return false;
  return !isGone(error) && !isTooLarge(error) && !(error instanceof StatusError && error.status.code === 429);
}

/** The server has not reached the version asked for: it lost history, or lags behind the one asked before. */
function isTooLarge(error: unknown): boolean {
  return error instanceof StatusError &&
    (error.status.details?.causes ?? []).some((cause) => cause.reason === "ResourceVersionTooLarge");
}

function recover(position: Position, error: AppError): void {
  position.failures++;
  if (isGone(error) || isTooLarge(error)) {
    position.next = "list";
    // Starting over at the version that was refused would be refused again.
    position.resourceVersion = "";
    return;
  }
  // A broken connection, an overloaded or a restarting server: go on where we were.
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
