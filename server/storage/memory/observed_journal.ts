/** A journal that tells how its commits went. */
import type { Journal } from "./journaled_storage.ts";

/** Is told of each commit. */
export interface JournalObserver {
  committed(changes: number, seconds: number): void;
  failed(): void;
}

/** Wraps a journal; `nowMs` is a clock that never goes back. */
export function observeJournal(journal: Journal, observer: JournalObserver, nowMs: () => number): Journal {
  return {
    async commit(changes, compaction) {
      const startedAt = nowMs();
      try {
        await journal.commit(changes, compaction);
      } catch (error) {
        observer.failed();
        throw error;
      }
      observer.committed(changes.length, (nowMs() - startedAt) / 1000);
    },
    check: () => journal.check(),
    close: () => journal.close(),
  };
}
