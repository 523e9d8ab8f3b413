/**
 * The database file: created private, checked to be ours before it is changed, and locked for this process alone. The lock
 * is SQLite's own (an fcntl lock held by `locking_mode=EXCLUSIVE`), so it ends with the process however that dies.
 *
 * POSIX drops all of a process's locks on a file when the process closes any descriptor of it. Therefore no other code may
 * open the database file while it is in use, and a list of files in use enforces that here. Its log (`-wal`) has no locks
 * and stays the same file until `close`: SQLite empties it, but does not create another.
 */
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
import type { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { findErrorCode } from "../../../core/errors.ts";
import { APPLICATION_ID, assertFormat, assertIntact, assertUsable, FORMAT_VERSION, getFileSize } from "./check.ts";
import { lockedError } from "./errors.ts";
import type { DatabaseFile } from "./journal.ts";

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

/** Opens a database file, which may not be valid. */
type OpenDatabase = (path: string) => DatabaseSync;
type SyncFile = (descriptor: number) => Promise<void>;

const putOnDisk: SyncFile = promisify(fdatasync);
/** References that keep the garbage collector from closing these databases. */
const abandoned: DatabaseSync[] = [];

/** Opens or creates a file. Throws AppError `storage_locked` or `storage_corrupt`, or errors of SQLite and the system. */
export function openDatabaseFile(path: string, openDatabase: OpenDatabase, sync: SyncFile = putOnDisk): DatabaseFile {
  if (inUse.has(readIdentity(path))) throw lockedError(path);
  assertUsable(path);
  createPrivate(path);
  const identity = readIdentity(path);
  const logPath = `${realpathSync(path)}-wal`;
  const left = getFileSize(logPath) > 0 ? readFileSync(logPath) : undefined;
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
  if (left !== undefined) {
    try {
      recoverLog(left, logPath, descriptor, database);
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
 * Syncs the log of a killed process, which SQLite has read, to the disk and moves it into the database. The kernel may hold
 * pages of it that it failed to write but considers clean, so that a sync alone does nothing; the log is therefore written
 * again.
 */
function recoverLog(left: Uint8Array, logPath: string, log: number, database: DatabaseSync): void {
  if (Buffer.compare(readFileSync(logPath), left) !== 0) {
    throw new Error("its log is not the same each time it is read");
  }
  for (let at = 0; at < left.length;) at += writeSync(log, left, at, left.length - at, at);
  fdatasyncSync(log);
  const answer = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
  if (answer?.["busy"] !== 0) throw new Error("its log cannot be merged into it");
}

/** SQLite creates `-wal` and `-shm` with the mode of the main file, whatever the umask. */
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
    // A link to an existing database is allowed. SQLite would also create one at the target of a link, wherever that is.
    if (lstatSync(path).isSymbolicLink() && getFileSize(path) === 0) throw new Error("it is a link to no database");
  }
}

/** Reads device and inode of a file; empty when it does not exist. */
function readIdentity(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? "" : `${found.dev}:${found.ino}`;
}

/** Creates the tables in an empty file, also after a crash in the middle of that, or checks the existing ones. */
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
  // A transaction creates the log and ends the change of mode; without it a checkpoint finds a table locked.
  database.exec("BEGIN IMMEDIATE; COMMIT");
}

function isEmpty(database: DatabaseSync): boolean {
  return database.prepare("SELECT name FROM sqlite_schema LIMIT 1").get() === undefined;
}

function pragma(database: DatabaseSync, name: "application_id" | "user_version"): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}
