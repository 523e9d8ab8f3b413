/** A client that watches over all kills: it resumes where it was, and records every event. */
import { type ApiClient, createApiClient, withQuery } from "../../client/objects/api.ts";
import type { Connect } from "../../client/transport/connect.ts";
import { decodeWatchEvent, readJsonLines } from "../../client/objects/watch_events.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { StatusError } from "../../core/kube/status_error.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig_context.ts";
import type { Clock, Random } from "../../core/ports.ts";
import { countFault, orderFault, type SeenEvent } from "./event_order.ts";
import { parseObjectRevision } from "./ledger.ts";

export interface WatcherOptions {
  readonly name: string;
  readonly path: string;
  readonly cluster: ResolvedCluster;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  /** Called for each broken promise. */
  readonly onFault: (fault: string) => void;
}

export interface Watcher {
  readonly name: string;
  readonly path: string;
  /** Returns the newest revision that it has received, by an event or a bookmark. */
  position(): number;
  /** The revision of the last event. */
  lastEvent(): number;
  /** Returns the number of connections that it has had. */
  connections(): number;
  /** Takes the events up to a revision away. */
  take(upTo: number): readonly SeenEvent[];
}

/** More than the seconds it takes to read five minutes of history. */
const HISTORY_SECONDS = 20;
/** The longest pause before it connects again. */
const PAUSE_MS = 200;
/** The HTTP status code Service Unavailable. */
const UNAVAILABLE = 503;

/** Watches after a revision until the signal fires; `watcher` can be read meanwhile. */
export function startWatcher(
  options: WatcherOptions,
  from: number,
  signal: AbortSignal,
): { readonly watcher: Watcher; readonly running: Promise<void> } {
  const { name, path, clock, random, onFault } = options;
  let position = from;
  let lastEvent = from;
  let connections = 0;
  let seen: SeenEvent[] = [];
  const counts = new Map<string, number>();

  async function follow(api: ApiClient): Promise<void> {
    // The server ends some watches by itself too.
    const timeoutSeconds = `${1 + Math.floor(random.float() * 20)}`;
    const query = { resourceVersion: `${position}`, allowWatchBookmarks: "true", timeoutSeconds, watch: "true" };
    connections++;
    const answer = await api.open({ method: "GET", path: withQuery(path, query) }, signal);
    for await (const line of readJsonLines(answer.body)) {
      const event = decodeWatchEvent<KubeObject>(line);
      if (event.kind === "bookmark") {
        position = Math.max(position, Number(event.resourceVersion));
        continue;
      }
      const next = toSeenEvent(event.kind, event.object);
      const fault = orderFault(position, next) ?? countFault(counts, next);
      if (fault !== undefined) onFault(`watcher ${name}: ${fault}`);
      position = Math.max(position, next.revision);
      lastEvent = next.revision;
      seen.push(next);
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await using transport = await options.connect(options.cluster);
      try {
        await follow(createApiClient(transport, { clock }));
      } catch (error) {
        if (signal.aborted) return;
        if (!isTransient(error)) onFault(`watcher ${name}: ${getErrorMessage(error)}`);
      }
      await clock.sleep(random.float() * PAUSE_MS, signal).catch(() => {});
    }
  }

  const watcher: Watcher = {
    name,
    path,
    position: () => position,
    lastEvent: () => lastEvent,
    connections: () => connections,
    take(upTo) {
      const taken = seen.filter((event) => event.revision <= upTo);
      seen = seen.filter((event) => event.revision > upTo);
      return taken;
    },
  };
  return { watcher, running: run() };
}

/** Reads the whole history after a revision with one new watch, up to the change that made another revision. */
export async function readHistory(
  api: ApiClient,
  path: string,
  { from, to }: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<readonly SeenEvent[]> {
  const whole: SeenEvent[] = [];
  const query = { resourceVersion: `${from}`, timeoutSeconds: `${HISTORY_SECONDS}`, watch: "true" };
  const answer = await api.open({ method: "GET", path: withQuery(path, query) }, signal);
  for await (const line of readJsonLines(answer.body)) {
    const event = decodeWatchEvent<KubeObject>(line);
    if (event.kind === "bookmark") continue;
    const next = toSeenEvent(event.kind, event.object);
    if (next.revision > to) break;
    whole.push(next);
    if (next.revision === to) break;
  }
  return whole;
}

/** The server went away, is not there yet, or says that what it keeps its objects in is not there. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  if (error.code === "unreachable" || error.code === "timeout") return true;
  return error instanceof StatusError ? error.status.code === UNAVAILABLE : isTransient(error.cause);
}

function toSeenEvent(
  kind: SeenEvent["kind"],
  object: KubeObject & { readonly data?: Readonly<Record<string, string>> },
): SeenEvent {
  const { namespace, name } = object.metadata;
  const count = object.data?.["count"];
  return {
    kind,
    name: namespace === undefined ? `${name}` : `${namespace}/${name}`,
    revision: parseObjectRevision(object),
    ...(count === undefined ? {} : { count: Number(count) }),
  };
}
