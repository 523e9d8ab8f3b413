/**
 * One watch for all followers of the same objects in a process: the objects are read, decoded and stored once
 * (client-go `informers.SharedInformerFactory`).
 */
import { type KubeObject, toObjectKey } from "../../core/kube/meta.ts";
import type { ObjectChange, ObjectStore } from "../../core/ports.ts";

interface Follower<T> {
  /** The changes that the follower has not read yet. */
  pending: ObjectChange<T>[];
  /** Set when the source has ended, with or without an error. */
  end: { readonly error?: unknown } | undefined;
  wake: () => void;
}

/**
 * Shares the changes of a source among any number of followers. The source is followed while there is a follower. A
 * later follower first receives the known objects. When the source ends, it ends for all followers.
 */
export function createSharedChanges<T extends KubeObject>(
  source: Pick<ObjectStore<T>, "changes">,
): Pick<ObjectStore<T>, "changes"> {
  const followers = new Set<Follower<T>>();
  const known = new Map<string, T>();
  let isSynced = false;
  let running: AbortController | undefined;
  /** Resolves when the source that was started last has ended. */
  let ended = Promise.resolve();

  async function run(life: AbortController): Promise<void> {
    try {
      for await (const change of source.changes(life.signal)) {
        if (running !== life) return;
        note(change);
        for (const follower of followers) deliver(follower, change);
      }
      end(life, {});
    } catch (error) {
      end(life, { error });
    }
  }

  function note(change: ObjectChange<T>): void {
    if (change.kind === "synced") isSynced = true;
    else if (change.kind === "changed") known.set(toObjectKey(change.object), change.object);
    else known.delete(toObjectKey(change.object));
  }

  function end(life: AbortController, how: NonNullable<Follower<T>["end"]>): void {
    if (running !== life) return;
    forget();
    for (const follower of followers) {
      follower.end = how;
      follower.wake();
    }
    followers.clear();
  }

  function forget(): void {
    running = undefined;
    isSynced = false;
    known.clear();
  }

  function join(): Follower<T> {
    const pending: ObjectChange<T>[] = Array.from(known.values(), (object) => ({ kind: "changed", object }));
    if (isSynced) pending.push({ kind: "synced" });
    const follower: Follower<T> = { pending, end: undefined, wake: () => undefined };
    followers.add(follower);
    if (running === undefined) {
      running = new AbortController();
      ended = run(running);
    }
    return follower;
  }

  /** Removes a follower. The last one waits for the end of the source. */
  async function leave(follower: Follower<T>): Promise<void> {
    if (!followers.delete(follower) || followers.size > 0) return;
    const last = ended;
    running?.abort(new Error("the last follower has left"));
    forget();
    await last;
  }

  return {
    async *changes(signal) {
      signal.throwIfAborted();
      const follower = join();
      const wake = (): void => follower.wake();
      signal.addEventListener("abort", wake);
      try {
        while (true) {
          const { pending } = follower;
          follower.pending = [];
          for (const change of pending) {
            signal.throwIfAborted();
            yield change;
          }
          signal.throwIfAborted();
          if (follower.pending.length > 0) continue;
          if (follower.end !== undefined) break;
          await new Promise<void>((resolve) => follower.wake = resolve);
        }
      } finally {
        signal.removeEventListener("abort", wake);
        await leave(follower);
      }
      if ("error" in follower.end) throw follower.end.error;
    },
  };
}

function deliver<T>(follower: Follower<T>, change: ObjectChange<T>): void {
  follower.pending.push(change);
  follower.wake();
}
