/** A store that can end a watch, as a shared store does after it has compacted its history. */
import { CompactedError, type Storage } from "../../server/storage/storage.ts";

interface LossyStorage {
  /** A store that only lists and watches. Its watches report nothing. */
  readonly storage: Storage;
  /** Ends the first watch of the prefix; resolves when the prefix is watched again. */
  loseWatch(): Promise<void>;
}

export function createLossyStorage(storage: Storage, lossyPrefix: string): LossyStorage {
  const first = Promise.withResolvers<() => void>();
  const again = Promise.withResolvers<void>();
  let watches = 0;
  const lossy: Partial<Storage> = {
    list: storage.list.bind(storage),
    watch(prefix, _revision, _onEvents, onLost) {
      if (prefix === lossyPrefix) {
        if (++watches === 1) first.resolve(() => onLost?.(new CompactedError(1, 2)));
        else again.resolve();
      }
      return { stop() {} };
    },
  };
  return {
    storage: lossy as Storage,
    async loseWatch() {
      (await first.promise)();
      await again.promise;
    },
  };
}
