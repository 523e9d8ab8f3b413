/** The running watches of a store, and indexes of the objects below a prefix, which survive the loss of a watch. */
import { setImmediate } from "node:timers/promises";
import type { KubeObject } from "../../core/kube/meta.ts";
import { orAbort } from "../../core/lib/waiting.ts";
import type { Logger, ObjectChange, ObjectChanges } from "../../core/ports.ts";
import { getErrorMessage } from "../../core/errors.ts";
import {
  type After,
  type CompactedError,
  runAfter,
  type Storage,
  type StorageEvent,
  type StorageWatch,
  type Stored,
} from "./storage.ts";

export type WatchListener = (events: readonly StorageEvent[]) => void;
/** Called when a watch is lost; a rejection is logged. */
export type LostListener = (error: CompactedError) => void | Promise<void>;

interface Watcher {
  readonly afterRevision: number;
  readonly listener: WatchListener;
  readonly onLost: LostListener | undefined;
  active: boolean;
}

/**
 * Running watches by prefix. Events are filtered once for each prefix, no matter how many watches it has. A thousand
 * nodes that each watch their own request have a thousand prefixes but only a few lengths, so an event finds its
 * watchers with one look-up per length.
 */
export class Watchers {
  readonly #byLength = new Map<number, Map<string, Set<Watcher>>>();
  readonly #logger: Logger | undefined;

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  /** Passes a listener the missed events at once, and later those passed to `notify`. */
  add(
    prefix: string,
    afterRevision: number,
    missed: readonly StorageEvent[],
    listener: WatchListener,
    onLost?: LostListener,
  ): StorageWatch {
    const watcher: Watcher = { afterRevision, listener, onLost, active: true };
    const watchers = this.#ensure(prefix).add(watcher);
    this.#deliver(watcher, missed.filter((event) => event.key.startsWith(prefix)));
    return {
      stop: () => {
        watcher.active = false;
        watchers.delete(watcher);
        if (watchers.size === 0) this.#drop(prefix, watchers);
      },
    };
  }

  /**
   * Notifies all matching watches. A watch that a listener opens meanwhile has already received these events as missed
   * ones.
   */
  notify(events: readonly StorageEvent[]): void {
    const picked = new Map<Set<Watcher>, StorageEvent[]>();
    for (const event of events) {
      for (const [length, byPrefix] of this.#byLength) {
        const watchers = byPrefix.get(event.key.slice(0, length));
        if (watchers === undefined) continue;
        const earlier = picked.get(watchers);
        if (earlier === undefined) picked.set(watchers, [event]);
        else earlier.push(event);
      }
    }
    const deliveries = [...picked].flatMap(([watchers, matching]) =>
      [...watchers].map((watcher) => ({ watcher, matching }))
    );
    for (const { watcher, matching } of deliveries) this.#deliver(watcher, matching);
  }

  stopAll(): void {
    for (const watcher of this.#all()) watcher.active = false;
    this.#byLength.clear();
  }

  /** Ends every watch with an error, because changes that it should have received are unknown. */
  loseAll(error: CompactedError): void {
    const lost = [...this.#all()];
    this.stopAll();
    for (const { onLost } of lost) void this.#lose(onLost, error);
  }

  async #lose(onLost: LostListener | undefined, error: CompactedError): Promise<void> {
    try {
      await onLost?.(error);
    } catch (cause) {
      this.#logger?.error("storage watcher cannot begin again", { error: getErrorMessage(cause) });
    }
  }

  *#all(): Iterable<Watcher> {
    for (const byPrefix of this.#byLength.values()) {
      for (const watchers of byPrefix.values()) yield* watchers;
    }
  }

  #ensure(prefix: string): Set<Watcher> {
    const byPrefix = this.#byLength.get(prefix.length) ?? new Map<string, Set<Watcher>>();
    this.#byLength.set(prefix.length, byPrefix);
    const watchers = byPrefix.get(prefix) ?? new Set();
    byPrefix.set(prefix, watchers);
    return watchers;
  }

  #drop(prefix: string, watchers: Set<Watcher>): void {
    const byPrefix = this.#byLength.get(prefix.length);
    if (byPrefix?.get(prefix) !== watchers) return;
    byPrefix.delete(prefix);
    if (byPrefix.size === 0) this.#byLength.delete(prefix.length);
  }

  #deliver(watcher: Watcher, picked: readonly StorageEvent[]): void {
    const first = picked[0];
    if (first === undefined || !watcher.active) return;
    const events = first.revision > watcher.afterRevision
      ? picked
      : picked.filter((event) => event.revision > watcher.afterRevision);
    if (events.length === 0) return;
    try {
      watcher.listener(events);
    } catch (error) {
      // The write is committed and other watches must still get it, so a listener's bug is only logged.
      this.#logger?.error("storage watcher threw", { error: getErrorMessage(error) });
    }
  }
}

/** An index of the objects of a resource. A name is the key without the prefix: `name` or `namespace/name`. */
export interface ResourceFollower<T extends KubeObject> {
  /** Empties the index. Called before all objects are added. */
  clear(): void;
  /** An object exists; `change` is the change that wrote it, undefined if the object was listed. */
  added(name: string, stored: Stored<T>, change?: StorageEvent<T>): void;
  removed(name: string, change: StorageEvent<T>): void;
  /** Called once after all objects have been added, and after each group of changes. */
  changed?(): void;
}

/** The pause between two attempts to list again after a watch was lost, in milliseconds. */
const RETRY_MS = 1_000;

/** Reads the objects below a resource's prefix and follows their changes; a lost watch starts again. */
export async function followResource<T extends KubeObject>(
  storage: Pick<Storage, "list" | "watch">,
  prefix: string,
  follower: ResourceFollower<T>,
  after: After = runAfter,
): Promise<StorageWatch> {
  let watch: StorageWatch | undefined;
  let cancelRetry: (() => void) | undefined;
  let stopped = false;
  const begin = async (): Promise<void> => {
    const page = await storage.list(prefix);
    if (stopped) return;
    follower.clear();
    // Every object below a resource's prefix has passed the strategy of that resource, so its type is known.
    for (const item of page.items as readonly Stored<T>[]) follower.added(item.key.slice(prefix.length), item);
    follower.changed?.();
    watch = storage.watch(prefix, page.revision, (events) => {
      for (const event of events as readonly StorageEvent<T>[]) {
        const name = event.key.slice(prefix.length);
        if (event.current === undefined) follower.removed(name, event);
        else follower.added(name, event.current, event);
      }
      follower.changed?.();
    }, beginAgain);
  };
  const beginAgain = async (): Promise<void> => {
    if (stopped) return;
    try {
      await begin();
    } catch (error) {
      // The store logs why the first attempt failed.
      cancelRetry = after(RETRY_MS, () => void beginAgain().catch(() => undefined));
      throw error;
    }
  };
  await begin();
  return {
    stop() {
      stopped = true;
      cancelRetry?.();
      watch?.stop();
    },
  };
}

/** Keeps the objects of a resource in a map. */
export function followInto<T extends KubeObject>(
  storage: Pick<Storage, "list" | "watch">,
  prefix: string,
  index: Map<string, T>,
  changed: () => void,
): Promise<StorageWatch> {
  return followResource<T>(storage, prefix, {
    clear: () => index.clear(),
    added: (name, { object }) => index.set(name, object),
    removed: (name) => index.delete(name),
    changed,
  });
}

/** After this number of changes, the server does other work before it continues. */
const BATCH = 100;

/**
 * Follows the objects of a resource for controllers in the same process. A deleted object has only its name, which is
 * `namespace/name` for a namespaced object. The iteration rejects when the first list fails.
 */
export function createStoredChanges<T extends KubeObject>(
  storage: Pick<Storage, "list" | "watch">,
  prefix: string,
): ObjectChanges<T> {
  return {
    async *changes(signal) {
      signal.throwIfAborted();
      const pending: ObjectChange<T>[] = [];
      const known = new Set<string>();
      let missing: Set<string> | undefined;
      let arrival = Promise.withResolvers<void>();
      const remove = (name: string): void => {
        known.delete(name);
        pending.push({ kind: "deleted", object: { metadata: { name } } });
      };
      const watch = await followResource<T>(storage, prefix, {
        clear: () => missing = new Set(known),
        added(name, stored) {
          known.add(name);
          missing?.delete(name);
          pending.push(new StoredObject(stored));
        },
        removed: remove,
        changed() {
          if (missing !== undefined) {
            missing.forEach(remove);
            missing = undefined;
            pending.push({ kind: "synced" });
          }
          arrival.resolve();
        },
      });
      try {
        while (true) {
          await orAbort(arrival.promise, signal);
          arrival = Promise.withResolvers();
          for (const [index, change] of pending.splice(0).entries()) {
            if (index % BATCH === BATCH - 1) await setImmediate();
            signal.throwIfAborted();
            yield change;
          }
        }
      } finally {
        watch.stop();
      }
    },
  };
}

/** A change whose object is taken from the store only when it is read, because the store may have to decode it. */
class StoredObject<T extends KubeObject> {
  readonly kind = "changed";
  readonly #stored: Stored<T>;

  constructor(stored: Stored<T>) {
    this.#stored = stored;
  }

  get object(): T {
    return this.#stored.object;
  }
}
