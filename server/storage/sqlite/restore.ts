/** Creates a database file from the objects of a backup. */
import { DatabaseSync } from "node:sqlite";
import type { SnapshotObject } from "../snapshot_lines.ts";
import { openError } from "./errors.ts";
import { openDatabaseFile } from "./file.ts";
import { SqliteJournal } from "./journal.ts";
import { readStored } from "../stored.ts";

export interface RestoredDatabase extends Disposable {
  /** Adds objects, all or none. Throws AppError `io` or `storage_corrupt`. */
  add(objects: readonly SnapshotObject[]): Promise<void>;
  /**
   * Sets the newest revision, which is also the oldest whose state is known; reads of earlier revisions are answered with
   * 410.
   */
  finish(revision: number): Promise<void>;
}

/** Creates an empty database at a path where no file is. Throws AppError as `openSqliteStorage` does. */
export function createRestoredDatabase(path: string, now: Date): RestoredDatabase {
  try {
    const file = openDatabaseFile(path, (name) => new DatabaseSync(name, { timeout: 0 }));
    // The caller gets every failure as a rejection, and discards the database then.
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
