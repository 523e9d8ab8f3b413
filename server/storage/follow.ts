/** Keeps an index of the objects below a prefix up to date, even when its watch is lost. */
import type { KubeObject } from "../../core/kube/meta.ts";
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
  const beginAgain = (): void => {
    if (stopped) return;
    begin().catch(() => (cancelRetry = after(RETRY_MS, beginAgain)));
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
