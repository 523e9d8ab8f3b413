/** Keeps an index of the objects below a prefix up to date, even when its watch is lost. */
import { setImmediate } from "node:timers/promises";
import type { KubeObject } from "../../core/kube/meta.ts";
import { orAbort } from "../../core/lib/abort.ts";
import type { ObjectChange, ObjectChanges } from "../../core/ports.ts";
import { type After, afterReal } from "./etcd/after.ts";
import type { Storage, StorageEvent, StorageWatch, Stored } from "./storage.ts";

/** An index of the objects of a resource. A name is the key without the prefix: `name` or `namespace/name`. */
export interface ResourceFollower<T extends KubeObject> {
  /** Empties the index. It is called before each reading of all objects. */
  clear(): void;
  /** An object exists; `change` is the change that wrote it, and undefined for one that was read. */
  added(name: string, stored: Stored<T>, change?: StorageEvent<T>): void;
  removed(name: string, change: StorageEvent<T>): void;
  /** Called once after each reading of all objects, and after each group of changes. */
  changed?(): void;
}

/** The pause between two attempts to read again after a watch was lost, in milliseconds. */
const RETRY_MS = 1_000;

/** Reads the objects below a resource's prefix and follows their changes; a lost watch starts again. */
export async function followResource<T extends KubeObject>(
  storage: Pick<Storage, "list" | "watch">,
  prefix: string,
  follower: ResourceFollower<T>,
  after: After = afterReal,
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

/** After this number of changes, the server does its other work before the next ones. */
const BATCH = 100;

/**
 * Creates the changes of the objects of a resource without namespaces, for the controllers in the same process. They reject
 * when the first reading fails.
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
      let news = Promise.withResolvers<void>();
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
          news.resolve();
        },
      });
      try {
        while (true) {
          await orAbort(news.promise, signal);
          news = Promise.withResolvers();
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

/** A change whose object is read from the store, which decodes it when it has to. */
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
