/** Makes a database file of the objects of a backup. */
import { DatabaseSync } from "node:sqlite";
import type { SnapshotObject } from "../../../core/backup/objects.ts";
import { openError } from "./errors.ts";
import { openDatabaseFile } from "./file.ts";
import { SqliteJournal } from "./journal.ts";
import { readStored } from "../stored.ts";

/** A database that is being made. */
export interface RestoredDatabase extends Disposable {
  /** Adds objects, all or none. AppError `io`, `storage_corrupt`. */
  add(objects: readonly SnapshotObject[]): Promise<void>;
  /**
   * Sets the newest revision, which is also the oldest whose state is known: whoever asks for what was before is told that
   * it is gone.
   */
  finish(revision: number): Promise<void>;
}

/** Makes an empty one at a path where nothing is. AppError as `openSqliteStorage`. */
export function createRestoredDatabase(path: string, now: Date): RestoredDatabase {
  try {
    const file = openDatabaseFile(path, (name) => new DatabaseSync(name, { timeout: 0 }));
    // Whoever makes it hears of every failure, and throws it away.
    const journal = new SqliteJournal(file, () => undefined);
    return {
      async add(objects) {
        const changes = objects.map(({ key, revision, bytes }) => ({
          event: { key, revision, current: readStored(key, revision, bytes) },
          at: now.getTime(),
        }));
        await journal.commit(changes, undefined);
      },
      finish: (revision) => journal.commit([], { revision, count: 0, forgotten: [] }),
      [Symbol.dispose]: () => journal.close(),
    };
  } catch (error) {
    throw openError(path, error);
  }
}
