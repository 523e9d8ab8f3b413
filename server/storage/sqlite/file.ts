/**
 * The database file: made private, checked to be ours before anything touches it, locked for this process alone. The
 * lock is SQLite's own (an fcntl lock held by `locking_mode=EXCLUSIVE`), so it ends with the process however that dies.
 *
 * POSIX drops all of a process's locks on a file when the process closes any descriptor of it. So nobody may open the
 * database file while it is in use; the files in use are remembered here to keep to that. Its log (`-wal`) has no locks,
 * and stays the same file until `close`: SQLite empties it, but does not make another.
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
import { APPLICATION_ID, assertFormat, assertIntact, assertUsable, FORMAT_VERSION, getFileSize } from "./check.ts";
import { lockedError } from "./errors.ts";

const PRIVATE = 0o600;

const TABLES = `
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

/** An open database that no other process can use. */
export interface DatabaseFile {
  readonly database: DatabaseSync;
  /** Throws when the path no longer leads to the open file: what is written would be lost. */
  assertInPlace(): void;
  /** Puts on disk what is committed: until then it is in the log, and lost with the machine's power. */
  sync(): Promise<void>;
  /** Moves what is in the log, and on the disk, into the database, so that the log begins anew. */
  checkpoint(): void;
  close(): void;
  /**
   * Stays open until the process ends by `process.exit` or a signal. SQLite moves the log into the database when it
   * closes it, without a look at whether the log is whole; the next start takes of it what is.
   */
  abandon(): void;
}

/** Opens a database, which may not be one. */
type OpenDatabase = (path: string) => DatabaseSync;
/** Puts on disk what was written to a file. */
type SyncFile = (descriptor: number) => Promise<void>;

const putOnDisk: SyncFile = promisify(fdatasync);
/** Kept from the garbage collector, which would close them. */
const abandoned: DatabaseSync[] = [];

/** Opens a file, or makes it. Throws AppError `storage_locked`, `storage_corrupt`, or SQLite's and the system's errors. */
export function openDatabaseFile(path: string, openDatabase: OpenDatabase, sync: SyncFile = putOnDisk): DatabaseFile {
  if (inUse.has(readIdentity(path))) throw lockedError(path);
  assertUsable(path);
  createPrivate(path);
  const identity = readIdentity(path);
  const logPath = `${realpathSync(path)}-wal`;
  const left = getFileSize(path) > 0 && getFileSize(logPath) > 0 ? readFileSync(logPath) : undefined;
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
    // Before the first commit, so that it hears of every failure from then on.
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
 * Puts what a process left that was killed, and that SQLite took from its log, on the disk and into the database. The
 * kernel may hold pages of it that it failed to write and takes for written, so that a sync alone does nothing: they are
 * written once more.
 */
function recoverLog(left: Uint8Array, logPath: string, log: number, database: DatabaseSync): void {
  if (Buffer.compare(readFileSync(logPath), left) !== 0) {
    throw new Error("its log is not the same each time it is read");
  }
  for (let at = 0; at < left.length;) at += writeSync(log, left, at, left.length - at, at);
  fdatasyncSync(log);
  const answer = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
  if (answer?.["busy"] !== 0) throw new Error("its log cannot be put into it");
}

/** SQLite gives `-wal` and `-shm` the mode of the main file, whatever the umask. */
function createPrivate(path: string): void {
  try {
    const descriptor = openSync(path, "wx", PRIVATE);
    try {
      fchmodSync(descriptor, PRIVATE);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    // A database may lie elsewhere; SQLite would also make one there, wherever that is and whose ever it is.
    if (lstatSync(path).isSymbolicLink() && getFileSize(path) === 0) throw new Error("it is a link to no database");
  }
}

/** Empty for a file that is not there. */
function readIdentity(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? "" : `${found.dev}:${found.ino}`;
}

/** An empty file is a new one, also after a crash in the middle of making it. */
function prepare(path: string, database: DatabaseSync): void {
  // A second process is told at once; Deno does not know the timeout option of the constructor.
  database.exec("PRAGMA busy_timeout = 0");
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  database.exec("BEGIN EXCLUSIVE");
  if (isEmpty(database)) database.exec(TABLES);
  else assertFormat(path, pragma(database, "application_id"), pragma(database, "user_version"));
  assertIntact(path, database);
  database.exec("COMMIT");
  chmodSync(path, PRIVATE);
  database.exec("PRAGMA journal_mode = WAL");
  // Of a commit `sync` takes care; SQLite of the order in which the log, its beginnings and the database reach the disk.
  database.exec("PRAGMA synchronous = NORMAL");
  // By itself it would move what is in the log into the database before it is known to be on the disk.
  database.exec("PRAGMA wal_autocheckpoint = 0");
  // A transaction makes the log, and ends the change of mode, without which a checkpoint finds a table locked.
  database.exec("BEGIN IMMEDIATE; COMMIT");
}

function isEmpty(database: DatabaseSync): boolean {
  return database.prepare("SELECT name FROM sqlite_schema LIMIT 1").get() === undefined;
}

function pragma(database: DatabaseSync, name: "application_id" | "user_version"): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}
