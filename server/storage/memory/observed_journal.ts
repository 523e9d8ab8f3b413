/** A journal that reports its commits to an observer. */
import type { Journal } from "./journaled_storage.ts";

/** Observes the commits of a journal. */
export interface JournalObserver {
  committed(changes: number, seconds: number): void;
  failed(): void;
}

/** Wraps a journal so that its commits are observed; `nowMs` is a monotonic clock. */
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
