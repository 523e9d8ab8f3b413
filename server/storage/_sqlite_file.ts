/**
 * The database file: made private, checked to be ours before anything touches it, locked for this process alone. The
 * lock is SQLite's own (an fcntl lock held by `locking_mode=EXCLUSIVE`), so it ends with the process however that dies.
 *
 * POSIX drops all of a process's locks on a file when the process closes any descriptor of it. So nobody may open the
 * database file while it is in use; the files in use are remembered here to keep to that.
 */
import { Buffer } from "node:buffer";
import { chmodSync, closeSync, fchmodSync, openSync, readSync, statSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { corruptError, lockedError } from "./_sqlite_errors.ts";

/** "tlsb", in the file's header (sqlite.org/fileformat.html, offset 68). */
const APPLICATION_ID = 0x746c7362;
/** Version of the tables below, in the header (offset 60). */
const FORMAT_VERSION = 1;
const PRIVATE = 0o600;
const MAGIC = "SQLite format 3\0";

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
  close(): void;
}

/** Opens a file, or makes it. Throws AppError `storage_locked`, `storage_corrupt`, or SQLite's and the system's errors. */
export function openDatabaseFile(path: string, openDatabase: (path: string) => DatabaseSync): DatabaseFile {
  createPrivate(path);
  const identity = identityOf(path);
  if (inUse.has(identity)) throw lockedError(path);
  assertOurs(path, readHeader(path));
  const database = openDatabase(path);
  inUse.add(identity);
  const close = (): void => {
    database.close();
    inUse.delete(identity);
  };
  try {
    prepare(path, database);
  } catch (error) {
    close();
    throw error;
  }
  return {
    database,
    close,
    assertInPlace() {
      if (identityOf(path) !== identity) throw new Error("the file was replaced while it was open");
    },
  };
}

/** SQLite gives `-wal` and `-shm` the mode of the main file, whatever the umask. */
function createPrivate(path: string): void {
  try {
    const descriptor = openSync(path, "wx", PRIVATE);
    fchmodSync(descriptor, PRIVATE);
    closeSync(descriptor);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

function identityOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

function readHeader(path: string): Buffer {
  const descriptor = openSync(path, "r");
  try {
    const header = Buffer.alloc(100);
    return header.subarray(0, readSync(descriptor, header, 0, header.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** An empty file is a new one, also after a crash in the middle of making it. */
function assertOurs(path: string, header: Buffer): void {
  if (header.length === 0) return;
  if (header.length < 100 || header.toString("latin1", 0, 16) !== MAGIC) {
    throw corruptError(path, "the file is not a database");
  }
  assertFormat(path, header.readUInt32BE(68), header.readUInt32BE(60));
}

function assertFormat(path: string, applicationId: number, version: number): void {
  if (applicationId !== APPLICATION_ID) {
    throw corruptError(path, "the file is a database of another program", { hint: "choose another file" });
  }
  if (version > FORMAT_VERSION) {
    throw corruptError(path, `the file has format ${version}, this program knows ${FORMAT_VERSION}`, {
      hint: "use the newer tlsboot that wrote it",
    });
  }
}

function prepare(path: string, database: DatabaseSync): void {
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  database.exec("BEGIN EXCLUSIVE");
  if (isEmpty(database)) database.exec(TABLES);
  else assertFormat(path, Number(pragma(database, "application_id")), Number(pragma(database, "user_version")));
  const verdict = pragma(database, "quick_check(1)");
  if (verdict !== "ok") throw corruptError(path, String(verdict).split("\n").at(-1)!);
  database.exec("COMMIT");
  chmodSync(path, PRIVATE);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
}

function isEmpty(database: DatabaseSync): boolean {
  return database.prepare("SELECT name FROM sqlite_schema LIMIT 1").get() === undefined;
}

function pragma(database: DatabaseSync, name: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
}
