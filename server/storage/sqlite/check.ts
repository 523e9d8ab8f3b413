/**
 * Checks a database file before it is opened for writing, so that not a byte of it changes if it is damaged, or belongs
 * to another program or a newer version.
 */
import { Buffer } from "node:buffer";
import { closeSync, existsSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { corruptError, openError } from "./errors.ts";
import { loadChanges } from "./journal.ts";

/** "tlsb", in the file's header (sqlite.org/fileformat.html, offset 68). */
export const APPLICATION_ID = 0x746c7362;
/** The version of the tables, in the file's header (offset 60). */
export const FORMAT_VERSION = 1;
const HEADER_LENGTH = 100;
const MAGIC = "SQLite format 3\0";
/** The header fills a sector. SQLite rolls nothing back with a shorter journal. */
const JOURNAL_HEADER_LENGTH = 512;
const JOURNAL_MAGIC = "d9d505f920a163d7";

/**
 * Throws AppError `storage_corrupt` for a file that must not be touched. It opens and closes the file, which drops this
 * process's locks on it: never call it for a file in use.
 */
export function assertUsable(path: string): void {
  const header = existsSync(path) ? readHeader(path) : Buffer.alloc(0);
  const hasLeftover = getFileSize(`${path}-wal`) > 0;
  if (header.length === 0) {
    if (hasLeftover) throw corruptError(path, "the file is missing or empty, but its -wal holds changes");
    return;
  }
  const sizeBefore = findSizeBefore(path);
  // SQLite empties a file whose first transaction was interrupted, no matter what was written.
  if (sizeBefore === 0) return;
  assertOurs(path, header);
  // A file that must be rolled back cannot be read unchanged, and has no commit in its -wal.
  if (hasLeftover && sizeBefore === undefined) assertReadable(path);
}

/**
 * Finds the number of pages before a transaction that a power failure interrupted, from its rollback journal
 * (sqlite.org/fileformat.html, section 3). Only the two transactions that create the file have one: after them, commits
 * go to the -wal, whose creation syncs the removal of the journal.
 */
function findSizeBefore(path: string): number | undefined {
  const journal = `${path}-journal`;
  if (getFileSize(journal) < JOURNAL_HEADER_LENGTH) return undefined;
  const header = readHeader(journal);
  return header.toString("hex", 0, 8) === JOURNAL_MAGIC ? header.readUInt32BE(16) : undefined;
}

function assertOurs(path: string, header: Buffer): void {
  if (header.length < HEADER_LENGTH || header.toString("latin1", 0, MAGIC.length) !== MAGIC) {
    throw corruptError(path, "the file is not a database");
  }
  assertFormat(path, header.readUInt32BE(68), header.readUInt32BE(60));
}

/** Throws AppError `storage_corrupt` for a database that is not ours or has a newer format. */
export function assertFormat(path: string, applicationId: number, version: number): void {
  if (applicationId !== APPLICATION_ID) {
    throw corruptError(path, "the database belongs to another program", { hint: "choose another file" });
  }
  if (version > FORMAT_VERSION) {
    throw corruptError(path, `the file has format ${version}, but this program knows only ${FORMAT_VERSION}`, {
      hint: "use the newer tlsboot that wrote it",
    });
  }
}

/** Throws AppError `storage_corrupt` for a database whose pages are inconsistent. */
export function assertIntact(path: string, database: DatabaseSync): void {
  const verdict = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {})[0];
  if (verdict !== "ok") throw corruptError(path, String(verdict).split("\n").at(-1)!);
}

/**
 * Reads the whole database with its `-wal`, which holds commits after a crash. Opening it for writing would move them into
 * the file even if the file turned out to be damaged.
 */
function assertReadable(path: string): void {
  const hadIndex = existsSync(`${path}-shm`);
  const database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
  try {
    // A second process gets an error at once; Deno does not know the timeout option of the constructor.
    database.exec("PRAGMA busy_timeout = 0");
    assertIntact(path, database);
    loadChanges(path, database, 0);
  } finally {
    database.close();
    // Reading a -wal creates an index file, which our exclusive connections do not use.
    if (!hadIndex) rmSync(`${path}-shm`, { force: true });
  }
}

/**
 * Checks a database file without locks and without its log, so that it can be used by a server. Without its log, the
 * file is complete up to the last checkpoint. Throws AppError `storage_corrupt`. While a checkpoint changes the file,
 * it may report a fault that does not exist, so the caller should try again.
 */
export function assertFileIntact(path: string): void {
  assertOurs(path, readHeader(path));
  const url = pathToFileURL(path);
  url.searchParams.set("immutable", "1");
  const database = new DatabaseSync(url, { readOnly: true });
  try {
    assertIntact(path, database);
    loadChanges(path, database, 0);
  } catch (error) {
    throw openError(path, error);
  } finally {
    database.close();
  }
}

function readHeader(path: string): Buffer {
  const descriptor = openSync(path, "r");
  try {
    const header = Buffer.alloc(HEADER_LENGTH);
    return header.subarray(0, readSync(descriptor, header, 0, HEADER_LENGTH, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** Returns the size of a file, or 0 when it does not exist; links are followed. */
export function getFileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
