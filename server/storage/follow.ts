/** Keeps an index of the objects below a prefix up to date, even when its watch is lost. */
import { type After, afterReal } from "./etcd/after.ts";
import type { Storage, StorageEvent, StorageWatch, Stored } from "./storage.ts";

/** An index that follows a store. */
export interface Follower {
  /** Replaces the whole content of the index. */
  replace(items: readonly Stored[]): void;
  apply(events: readonly StorageEvent[]): void;
}

/** The pause between two attempts to read again after a watch was lost, in milliseconds. */
const RETRY_MS = 1_000;

/** Reads the objects below a prefix and follows their changes; a lost watch starts again. */
export async function followStorage(
  storage: Pick<Storage, "list" | "watch">,
  prefix: string,
  follower: Follower,
  after: After = afterReal,
): Promise<StorageWatch> {
  let watch: StorageWatch | undefined;
  let cancelRetry: (() => void) | undefined;
  let stopped = false;
  const begin = async (): Promise<void> => {
    const page = await storage.list(prefix);
    if (stopped) return;
    follower.replace(page.items);
    watch = storage.watch(prefix, page.revision, (events) => follower.apply(events), beginAgain);
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
