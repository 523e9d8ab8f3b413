/**
 * Watches deliver every change of a selection after a revision, each once and in order
 * (`apiserver/pkg/storage/etcd3/watcher.go`, `cacher`).
 */
import { resourceExpired, StatusError } from "../../core/kube/status/status.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { CompactedError, type Storage, type StorageEvent, type Stored } from "../storage/storage.ts";
import { isSelected, listObjects, type Selection, waitForRevision } from "./read.ts";
import { type RegistryDeps, type Target, toKeyPrefix, toStorageKey } from "./registry.ts";
import type { Resource } from "./resource.ts";
import { withMeta } from "./write.ts";

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED"; readonly stored: Stored }
  /** The last matching state with the resourceVersion of the change; `bytes` is its size in the store. */
  | { readonly type: "DELETED"; readonly object: KubeObject; readonly bytes: number }
  | { readonly type: "BOOKMARK"; readonly revision: number; readonly initialEventsEnd: boolean }
  | { readonly type: "ERROR"; readonly error: unknown };

export interface WatchStart extends Selection {
  /** The store must have reached this revision. */
  readonly notBefore: number;
  /** Changes after this revision; undefined for the newest state first. */
  readonly afterRevision: number | undefined;
  /** Send every existing object before the changes. */
  readonly initialEvents: boolean;
  /** Send an annotated bookmark after the initial events. */
  readonly initialEventsEnd: boolean;
}

/** A running watch. `next` waits for the next events; undefined when the watch has ended. */
export interface RegistryWatch extends Disposable {
  next(): Promise<readonly WatchEvent[] | undefined>;
  /** The revision up to which `next` has delivered everything; undefined if that is where the watch began. */
  progress(): number | undefined;
}

/** A watch with more waiting changes or bytes is ended, and its client must list again. */
const MAX_WAITING_EVENTS = 20_000;
const MAX_WAITING_BYTES = 64 * 1_048_576;
/** The limits of one batch. All watches share the waiting events, but not the encoded bytes for a slow client. */
const BATCH_EVENTS = 256;
const BATCH_BYTES = 262_144;

/**
 * Opens a watch. Once the request is parsed, kube-apiserver and this server report a compacted revision (410) or an
 * unreached state (504) as an ERROR event. A watch from a future revision waits for it, but not forever
 * (`failUnknownRevision`).
 */
export async function openWatch(
  deps: RegistryDeps,
  target: Target,
  start: WatchStart,
  signal: AbortSignal,
): Promise<RegistryWatch> {
  const prefix = toWatchedPrefix(target, start);
  const queue = new EventQueue(deps.storage);
  try {
    await waitForRevision(deps, start.notBefore, () => signal);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    queue.fail(error);
    return queue;
  }
  let afterRevision = start.afterRevision;
  if (start.initialEvents || afterRevision === undefined) {
    const list = await listObjects(deps, target, {
      ...start,
      limit: 0,
      continueToken: "",
      resourceVersion: "",
      resourceVersionMatch: "",
    }, () => signal);
    if (start.initialEvents) queue.begin(list.items.map((stored) => ({ type: "ADDED", stored })), list.revision);
    if (start.initialEventsEnd) {
      queue.push([{ type: "BOOKMARK", revision: list.revision, initialEventsEnd: true }], list.revision);
    }
    afterRevision = list.revision;
  }
  queue.start(afterRevision);
  try {
    const watch = deps.storage.watch(prefix, afterRevision, (events) => {
      // Another server has created objects of this kind. The client must list again, and then gets 404.
      if (target.resource.isAbsent === true) return queue.fail(resourceExpired("the kind is no longer served"));
      queue.push(
        events.map((event) => selectEvent(target.resource, event, start)).filter((event) => event !== undefined),
        events.at(-1)?.revision ?? 0,
      );
    }, (error) => queue.fail(toExpiredError(error)));
    const isFuture = afterRevision > deps.storage.revision();
    const closing = isFuture ? new AbortController() : undefined;
    queue.onClose(() => {
      watch.stop();
      closing?.abort();
    });
    if (closing !== undefined) void failUnknownRevision(deps, afterRevision, queue, closing.signal);
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    queue.fail(toExpiredError(error));
  }
  if (signal.aborted) queue[Symbol.dispose]();
  else signal.addEventListener("abort", () => queue[Symbol.dispose](), { once: true });
  return queue;
}

/**
 * Ends a watch whose revision is not reached, because another store issued it before the objects were moved here. The
 * client must list again (410). kube-apiserver reports nothing until its own revisions have grown that far, so its
 * clients miss all changes until then.
 */
async function failUnknownRevision(
  deps: RegistryDeps,
  revision: number,
  queue: EventQueue,
  signal: AbortSignal,
): Promise<void> {
  const { storage } = deps;
  while (!signal.aborted) {
    try {
      return await waitForRevision(deps, revision, () => signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof StatusError)) return queue.fail(error);
    }
    // While a shared store does not answer, its revision is unknown, and the client may be ahead of this server.
    const isKnown = await storage.catchUp().then(() => true, () => false);
    if (isKnown && storage.revision() < revision) {
      queue.fail(resourceExpired(`resource version of another history: ${revision} (${storage.revision()})`));
    }
  }
}

function toExpiredError({ requestedRevision, compactedRevision }: CompactedError): StatusError {
  return resourceExpired(`too old resource version: ${requestedRevision} (${compactedRevision})`);
}

/**
 * Returns the prefix to watch, or the one key that can match, so that a thousand such watches do not receive each
 * other's events.
 */
function toWatchedPrefix({ resource, namespace }: Target, { fields }: Selection): string {
  const named = fields.find(({ field, operator }) => field === "metadata.name" && operator === "=");
  if (named === undefined || (resource.kind.namespaced && namespace === "")) return toKeyPrefix(resource, namespace);
  return toStorageKey(resource, namespace, named.value);
}

/** Translates a change into an event of a selection, which an object may enter or leave. */
function selectEvent(resource: Resource, event: StorageEvent, selection: Selection): WatchEvent | undefined {
  const { current, previous } = event;
  const matches = current !== undefined && isSelected(resource, current, selection);
  const matched = previous !== undefined && isSelected(resource, previous, selection);
  if (matches) return { type: matched ? "MODIFIED" : "ADDED", stored: current };
  if (!matched) return undefined;
  const object = withMeta(previous.object, { resourceVersion: String(event.revision) });
  return { type: "DELETED", object, bytes: previous.size };
}

function measureEvent(event: WatchEvent): number {
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
      return event.stored.size;
    case "DELETED":
      return event.bytes;
    default:
      return 1_024;
  }
}

/** Queues events between the commit of a change and the stream that sends it. */
class EventQueue implements RegistryWatch {
  readonly #storage: Pick<Storage, "revision">;
  #waiting: WatchEvent[] = [];
  #revision = 0;
  #pushed = 0;
  #startedAt = 0;
  #limit = MAX_WAITING_EVENTS;
  #bytes = 0;
  #byteLimit = MAX_WAITING_BYTES;
  #ended = false;
  #wake: (() => void) | undefined;
  #stop: (() => void) | undefined;

  constructor(storage: Pick<Storage, "revision">) {
    this.#storage = storage;
  }

  /** Adds the initial state, which may have any size. */
  begin(events: readonly WatchEvent[], revision: number): void {
    this.#limit = MAX_WAITING_EVENTS + events.length;
    this.#byteLimit = Infinity;
    this.push(events, revision);
    this.#byteLimit = MAX_WAITING_BYTES + this.#bytes;
  }

  push(events: readonly WatchEvent[], revision: number): void {
    if (this.#ended) return;
    // The events are not spread into arguments, because the stack has room for only about ten thousand.
    for (const event of events) {
      this.#waiting.push(event);
      this.#bytes += measureEvent(event);
    }
    this.#pushed = Math.max(this.#pushed, revision);
    if (this.#waiting.length > this.#limit || this.#bytes > this.#byteLimit) {
      this.#drop();
      this.end();
    }
    if (events.length > 0) this.#wake?.();
  }

  /** Starts the progress of the watch before the first change. The client has everything up to `afterRevision`. */
  start(afterRevision: number): void {
    this.#pushed = Math.max(this.#pushed, afterRevision);
    this.#startedAt = Math.max(this.#pushed, this.#storage.revision());
  }

  fail(error: unknown): void {
    this.push([{ type: "ERROR", error }], this.#pushed);
    this.end();
  }

  onClose(stop: () => void): void {
    this.#stop = stop;
  }

  end(): void {
    this.#ended = true;
    this.#stop?.();
    this.#wake?.();
  }

  progress(): number | undefined {
    const revision = this.#getDelivered();
    return revision > this.#startedAt ? revision : undefined;
  }

  async next(): Promise<readonly WatchEvent[] | undefined> {
    while (this.#waiting.length === 0) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    const events = this.#takeBatch();
    if (this.#waiting.length === 0) {
      this.#limit = MAX_WAITING_EVENTS;
      this.#byteLimit = MAX_WAITING_BYTES;
      this.#revision = this.#pushed;
    }
    return events;
  }

  [Symbol.dispose](): void {
    this.#drop();
    this.end();
  }

  #drop(): void {
    this.#waiting = [];
    this.#bytes = 0;
  }

  #takeBatch(): readonly WatchEvent[] {
    let count = 0;
    let bytes = 0;
    for (; count < Math.min(this.#waiting.length, BATCH_EVENTS); count++) {
      const size = measureEvent(this.#waiting[count]!);
      if (count > 0 && bytes + size > BATCH_BYTES) break;
      bytes += size;
    }
    this.#bytes -= bytes;
    if (count < this.#waiting.length) return this.#waiting.splice(0, count);
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  #getDelivered(): number {
    if (this.#waiting.length > 0) return this.#revision;
    // Every change so far was outside of this watch, or has been delivered.
    return this.#ended ? this.#pushed : Math.max(this.#pushed, this.#storage.revision());
  }
}
