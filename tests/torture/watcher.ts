/** A client that keeps watching across kills: it resumes, or begins again with all objects. */
import { type ApiClient, createApiClient, withQuery } from "../../client/objects/api.ts";
import type { Connect } from "../../client/transport/connect.ts";
import { decodeWatchEvent, readJsonLines } from "../../client/objects/watch_events.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { Clock, Random } from "../../core/ports.ts";

/** The options of every client of a storm. */
export interface StormClientOptions {
  readonly name: string;
  readonly cluster: ResolvedCluster;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  /** Called for each answer that no client may receive. */
  readonly onFault: (fault: string) => void;
  /** Reports whether the client's own machine, such as its clock, caused an error. */
  readonly isOwnFault?: (error: unknown) => boolean;
}

interface WatcherOptions extends StormClientOptions {
  readonly path: string;
  readonly labelSelector?: string;
  /** The share of connections that begin with all objects (WatchList) instead of at the last revision. */
  readonly streamingShare: number;
}

export interface Watcher {
  /** Returns the newest revision of an event or a bookmark. */
  position(): number;
  /** Returns the number of its connections so far. */
  connections(): number;
}

/** The longest pause before it connects again. */
const PAUSE_MS = 200;
/** The longest requested duration of a watch. */
const MAX_WATCH_SECONDS = 20;
/** The share of connections that begin at an old revision and see later changes again. */
const OLD_STARTS = 0.15;
const EXPIRED = 410;
const UNAVAILABLE = 503;

/** Watches from a revision on, until the signal fires. */
export function startWatcher(
  options: WatcherOptions,
  from: number,
  signal: AbortSignal,
): { readonly watcher: Watcher; readonly running: Promise<void> } {
  const { name, path, labelSelector, streamingShare, clock, random, onFault, isOwnFault } = options;
  let position = from;
  let connections = 0;
  let isExpired = false;

  async function follow(api: ApiClient): Promise<void> {
    const streaming = isExpired || random.float() < streamingShare
      ? { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" }
      : {};
    const start = random.float() < OLD_STARTS ? from + Math.floor(random.float() * (position - from)) : position;
    const query = {
      ...streaming,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      resourceVersion: `${start}`,
      allowWatchBookmarks: "true",
      timeoutSeconds: `${1 + Math.floor(random.float() * MAX_WATCH_SECONDS)}`,
      watch: "true",
    };
    connections++;
    const answer = await api.open({ method: "GET", path: withQuery(path, query) }, signal);
    // Initial events have the revisions of earlier changes, so the position is known only at their end.
    let isInitial = "sendInitialEvents" in streaming;
    for await (const line of readJsonLines(answer.body)) {
      const event = decodeWatchEvent<KubeObject>(line);
      if (event.kind === "bookmark") {
        position = Math.max(position, Number(event.resourceVersion));
        if (event.initialEventsEnd) isInitial = isExpired = false;
        continue;
      }
      if (!isInitial) position = Math.max(position, Number(event.object.metadata.resourceVersion));
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await using transport = await options.connect(options.cluster);
      try {
        await follow(createApiClient(transport, { clock }));
      } catch (error) {
        if (signal.aborted) return;
        // The check of the history decides whether the revision may be refused.
        if (error instanceof StatusError && error.status.code === EXPIRED) isExpired = true;
        else if (!isTransient(error) && isOwnFault?.(error) !== true) {
          onFault(`watcher ${name}: ${getErrorMessage(error)}`);
        }
      }
      await clock.sleep(random.float() * PAUSE_MS, signal).catch(() => {});
    }
  }

  const watcher: Watcher = { position: () => position, connections: () => connections };
  return { watcher, running: run() };
}

/** Reports whether the server is down, is not up yet, or cannot reach its storage. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  if (error.code === "unreachable" || error.code === "timeout") return true;
  return error instanceof StatusError ? error.status.code === UNAVAILABLE : isTransient(error.cause);
}
