/** Keeps an index of what is below a prefix, through everything that may happen to a watch. */
import type { Storage, StorageEvent, StorageWatch, Stored } from "./storage.ts";

/** What follows. */
export interface Follower {
  /** Everything there is, instead of what was known. */
  replace(items: readonly Stored[]): void;
  apply(events: readonly StorageEvent[]): void;
}

/** Between two attempts to read again after a watch was lost, in milliseconds. */
const RETRY_MS = 1_000;

/** Reads what there is and follows it; a watch that is lost starts again. */
export async function followStorage(
  storage: Pick<Storage, "list" | "watch">,
  prefix: string,
  follower: Follower,
): Promise<StorageWatch> {
  let watch: StorageWatch | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const begin = async (): Promise<void> => {
    const page = await storage.list(prefix);
    if (stopped) return;
    follower.replace(page.items);
    watch = storage.watch(prefix, page.revision, (events) => follower.apply(events), beginAgain);
  };
  const beginAgain = (): void => {
    if (stopped) return;
    begin().catch(() => (retry = setTimeout(beginAgain, RETRY_MS)));
  };
  await begin();
  return {
    stop() {
      stopped = true;
      clearTimeout(retry);
      watch?.stop();
    },
  };
}
