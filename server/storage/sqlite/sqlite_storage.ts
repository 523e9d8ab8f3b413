/**
 * The default store: one SQLite file for one process, which can be created from the objects of a backup. All objects are in
 * memory too, so reads are fast. A write is acknowledged when its commit is on disk, and one commit carries all writes that
 * came during the commit before it.
 */
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import type { AppError } from "../../../core/errors.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import { Engine } from "../memory/engine.ts";
import {
  DEFAULT_STORAGE_TIMES,
  JournaledStorage,
  type StorageLimits,
  type StorageTimes,
} from "../memory/journaled_storage.ts";
import { openError } from "./errors.ts";
import { openDatabaseFile } from "./file.ts";
import { type JournalObserver, loadChanges, observeJournal, SqliteJournal } from "./journal.ts";
import type { SnapshotObject } from "../snapshot_lines.ts";
import type { Storage } from "../storage.ts";
import { readStored } from "../stored.ts";

/** The options of a store in a file; times in milliseconds. */
export interface SqliteStorageDeps extends Partial<StorageTimes>, StorageLimits {
  /** The database file. It is created with mode 0600 when missing; its folder must exist. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger?: Logger;
  /** Observes each commit, for metrics. */
  readonly observer?: JournalObserver;
  /** Opens the database; for tests that make it fail. */
  readonly openDatabase?: (path: string) => DatabaseSync;
  /** Syncs the log to the disk; for tests that make it fail. */
  readonly sync?: (descriptor: number) => Promise<void>;
  /**
   * Called when the disk did not keep a write. From then on every write is refused, and the process must be ended and
   * started again; by `process.exit` or a signal, because an ordinary end, also of a worker, closes the database.
   */
  readonly onLost?: (error: AppError) => void;
}

/**
 * Opens the store in a file, which stays locked until dispose. Throws AppError `storage_locked` when another process uses
 * it, `storage_corrupt` when it is damaged, foreign or of a newer format (the file is then not changed), or `io`.
 */
export async function openSqliteStorage(deps: SqliteStorageDeps): Promise<Storage> {
  const { path, clock, logger, openDatabase = (name) => new DatabaseSync(name, { timeout: 0 }) } = deps;
  const { onLost = () => undefined } = deps;
  try {
    const file = openDatabaseFile(path, openDatabase, deps.sync);
    try {
      const { start, writtenAt } = loadChanges(path, file.database, clock.now().getTime());
      return new JournaledStorage({
        ...DEFAULT_STORAGE_TIMES,
        ...deps,
        name: path,
        engine: new Engine(start),
        journal: deps.observer === undefined
          ? new SqliteJournal(file, onLost)
          : observeJournal(new SqliteJournal(file, onLost), deps.observer, () => clock.elapsedMs()),
        logger,
        writtenAt,
        schedule: setImmediate,
      });
    } catch (error) {
      file.close();
      throw error;
    }
  } catch (error) {
    throw openError(path, error);
  }
}

/** A database that is made from the objects of a backup. */
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
