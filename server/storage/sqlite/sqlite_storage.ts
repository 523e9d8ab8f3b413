/**
 * The default store: one SQLite file for one process, which can be created from the objects of a backup. All objects
 * are in memory too, so reads are fast. A write is acknowledged when its commit is on disk, and one commit has all
 * writes that arrived during the previous commit.
 *
 * The file is private, is checked to be ours before it is changed, and is locked by this process. The lock is SQLite's
 * own (an fcntl lock held by `locking_mode=EXCLUSIVE`), so it ends when the process does, for whatever reason.
 *
 * POSIX drops all of a process's locks on a file when the process closes any descriptor of it. Therefore no other code
 * may open the database file while it is in use, and a list of files in use enforces that here. Its log (`-wal`) has no
 * locks and stays the same file until `close`: SQLite empties it, but does not create another.
 */
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { type AppError, findErrorCode } from "../../../core/errors.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import { Engine } from "../memory/engine.ts";
import {
  DEFAULT_STORAGE_TIMES,
  JournaledStorage,
  type StorageLimits,
  type StorageTimes,
} from "../memory/journaled_storage.ts";
import { lockedError, openError } from "./errors.ts";
import { type DatabaseFile, type JournalObserver, loadChanges, observeJournal, SqliteJournal } from "./journal.ts";
import type { SnapshotObject } from "../snapshot_lines.ts";
import type { Storage } from "../storage.ts";
import { readStored } from "../stored.ts";
import { Buffer } from "node:buffer";
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fdatasync,
  fdatasyncSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";
import { APPLICATION_ID, assertFormat, assertIntact, assertUsable, FORMAT_VERSION, getFileSize } from "./check.ts";

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
   * Called when the disk did not keep a write. From then on every write is refused, and the process must be restarted.
   * It must end by `process.exit` or a signal, because a normal exit, even of a worker, closes the database.
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

/** A new database with the objects of a backup. */
export interface RestoredDatabase extends Disposable {
  /** Adds objects, all or none. Throws AppError `io` or `storage_corrupt`. */
  add(objects: readonly SnapshotObject[]): Promise<void>;
  /**
   * Sets the newest revision, which is also the oldest whose state is known; reads of earlier revisions are answered with
   * 410.
   */
  finish(revision: number): Promise<void>;
}

/** Creates an empty database at a path without a file. Throws AppError like `openSqliteStorage`. */
export function createRestoredDatabase(path: string, now: Date): RestoredDatabase {
  try {
    const file = openDatabaseFile(path, (name) => new DatabaseSync(name, { timeout: 0 }));
    // The caller gets every failure as a rejection, and then discards the database.
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

const PRIVATE = 0o600;

export const TABLES = `
  CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    value BLOB,
    checksum INTEGER NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO numbers VALUES ('compacted_revision', 0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT_VERSION};
`;

/** Device and inode of the files that this process has open. */
const inUse = new Set<string>();

/** Opens a database file, which may be invalid. */
type OpenDatabase = (path: string) => DatabaseSync;
type SyncFile = (descriptor: number) => Promise<void>;

const syncData: SyncFile = promisify(fdatasync);
/** References that keep the garbage collector from closing these databases. */
const abandoned: DatabaseSync[] = [];

/** Opens or creates a file. Throws AppError `storage_locked` or `storage_corrupt`, or errors of SQLite and the system. */
function openDatabaseFile(path: string, openDatabase: OpenDatabase, sync: SyncFile = syncData): DatabaseFile {
  if (inUse.has(readIdentity(path))) throw lockedError(path);
  assertUsable(path);
  createPrivate(path);
  const identity = readIdentity(path);
  const logPath = `${realpathSync(path)}-wal`;
  const leftover = getFileSize(logPath) > 0 ? readFileSync(logPath) : undefined;
  const database = openDatabase(path);
  inUse.add(identity);
  const abandon = (): void => void abandoned.push(database);
  let log: number | undefined;
  const close = (): void => {
    try {
      if (log !== undefined) closeSync(log);
    } finally {
      try {
        database.close();
      } finally {
        inUse.delete(identity);
      }
    }
  };
  try {
    prepare(path, database);
    // Opened before the first commit, so that this descriptor gets every later failure (fsync(2)).
    log = openSync(logPath, "r+");
  } catch (error) {
    close();
    throw error;
  }
  const descriptor = log;
  if (leftover !== undefined) {
    try {
      recoverLog(leftover, logPath, descriptor, database);
    } catch (error) {
      abandon();
      throw error;
    }
  }
  return {
    database,
    close,
    abandon,
    sync: () => sync(descriptor),
    checkpoint: () => database.exec("PRAGMA wal_checkpoint(PASSIVE)"),
    assertInPlace() {
      if (readIdentity(path) !== identity) throw new Error("the file was moved or removed while it was in use");
    },
  };
}

/**
 * Writes the log of a killed process, which SQLite has read, to the disk and moves it into the database. A sync alone
 * may do nothing, because the kernel may consider pages clean that it failed to write, so the log is written again.
 */
function recoverLog(leftover: Uint8Array, logPath: string, log: number, database: DatabaseSync): void {
  if (Buffer.compare(readFileSync(logPath), leftover) !== 0) {
    throw new Error("two reads of its log differ");
  }
  for (let at = 0; at < leftover.length;) at += writeSync(log, leftover, at, leftover.length - at, at);
  fdatasyncSync(log);
  const answer = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
  if (answer?.["busy"] !== 0) throw new Error("its log cannot be merged into it");
}

/** Creates a private file. SQLite creates `-wal` and `-shm` with the same mode, regardless of the umask. */
function createPrivate(path: string): void {
  try {
    const descriptor = openSync(path, "wx", PRIVATE);
    try {
      fchmodSync(descriptor, PRIVATE);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (findErrorCode(error) !== "EEXIST") throw error;
    // A link to an existing database is allowed. SQLite would even create a database at any target of a link.
    if (lstatSync(path).isSymbolicLink() && getFileSize(path) === 0) {
      throw new Error("it is a link to a missing or empty file");
    }
  }
}

/** Reads device and inode of a file; empty when it does not exist. */
function readIdentity(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.dev}:${stat.ino}`;
}

/** Creates the tables in an empty file, even after a crash while creating them, or checks the existing ones. */
function prepare(path: string, database: DatabaseSync): void {
  // A second process gets an error at once; Deno does not know the timeout option of the constructor.
  database.exec("PRAGMA busy_timeout = 0");
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  database.exec("BEGIN EXCLUSIVE");
  if (isEmpty(database)) database.exec(TABLES);
  else assertFormat(path, pragma(database, "application_id"), pragma(database, "user_version"));
  assertIntact(path, database);
  database.exec("COMMIT");
  chmodSync(path, PRIVATE);
  database.exec("PRAGMA journal_mode = WAL");
  // `sync` makes commits durable; SQLite keeps the order in which the log, its header and the database reach the disk.
  database.exec("PRAGMA synchronous = NORMAL");
  // SQLite would otherwise move the log into the database before the log is known to be on the disk.
  database.exec("PRAGMA wal_autocheckpoint = 0");
  // This transaction creates the log and completes the change of mode. Without it, a checkpoint finds a table locked.
  database.exec("BEGIN IMMEDIATE; COMMIT");
}

function isEmpty(database: DatabaseSync): boolean {
  return database.prepare("SELECT name FROM sqlite_schema LIMIT 1").get() === undefined;
}

function pragma(database: DatabaseSync, name: "application_id" | "user_version"): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}
