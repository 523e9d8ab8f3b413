/**
 * The journal in SQLite. It has one row for each change that is in the history or is the newest of its key. Reading the
 * rows in order restores the whole store.
 *
 * SQLite writes a transaction into its write-ahead log (`synchronous=NORMAL`), and this journal syncs the log on a
 * thread of the runtime, because a sync by SQLite would block the whole program.
 */
import { Buffer } from "node:buffer";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { AppError } from "../../../core/errors.ts";
import type { Compaction, EngineStart, LoggedEvent } from "../memory/engine.ts";
import type { Journal } from "../memory/journaled_storage.ts";
import { corruptError, ioError, lostError } from "./errors.ts";
import { readStored, releaseObject } from "../stored.ts";
import type { Stored } from "../storage.ts";

/** A row of `changes`; `value` is null for a deletion. */
interface Row {
  readonly revision: number;
  readonly key: string;
  readonly value: Uint8Array | null;
  readonly checksum: number;
  readonly at: number;
}

/** The name of the second copy of the compacted revision. */
const COMPACTED_COPY = "compacted_revision_copy";

/** SQLite's default size of the log before a checkpoint, about four megabytes. */
const CHECKPOINT_PAGES = 1000;
const PAGE_BYTES = 4096;

/** Estimates how many pages of the log a commit needs: those of its rows, and a few inner pages. */
function estimatePages(changes: readonly LoggedEvent[], compaction: Compaction | undefined): number {
  let bytes = 0;
  for (const { event } of changes) bytes += 100 + (event.current?.bytes.length ?? 0);
  return 3 + Math.ceil(bytes / PAGE_BYTES) + Math.ceil((compaction?.forgotten.length ?? 0) / 4);
}

/** An open database that no other process can use. */
export interface DatabaseFile {
  readonly database: DatabaseSync;
  /** Throws when the path no longer leads to the open file, because writes would be lost. */
  assertInPlace(): void;
  /** Syncs the commits to the disk. Until then, a power failure can lose them. */
  sync(): Promise<void>;
  /** Moves the synced part of the log into the database, so that the log starts again. */
  checkpoint(): void;
  close(): void;
  /**
   * Keeps the database open until the process ends by `process.exit` or a signal. Closing it would move the log into the
   * database without a check that the log is intact; the next start uses its intact part.
   */
  abandon(): void;
}

export class SqliteJournal implements Journal {
  readonly #file: DatabaseFile;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #insert: StatementSync;
  readonly #forget: StatementSync;
  readonly #setCompacted: StatementSync;
  readonly #copyCompacted: StatementSync;
  readonly #touch: StatementSync;
  readonly #onLost: (error: AppError) => void;
  #failed = false;
  #lost: AppError | undefined;
  /** The estimated number of pages written to the log since the last checkpoint. */
  #pages = 0;

  /**
   * `onLost` is called once, when the disk did not keep a write that SQLite considers done. A kernel may drop pages
   * that it could not write, and reports that only once (fsync(2)), so nothing is written from then on. A new start
   * uses the intact part of the log, which includes every acknowledged write.
   */
  constructor(file: DatabaseFile, onLost: (error: AppError) => void) {
    const { database } = file;
    this.#file = file;
    this.#onLost = onLost;
    this.#begin = database.prepare("BEGIN IMMEDIATE");
    this.#commit = database.prepare("COMMIT");
    this.#insert = database.prepare("INSERT INTO changes (revision, key, value, checksum, at) VALUES (?, ?, ?, ?, ?)");
    this.#forget = database.prepare("DELETE FROM changes WHERE revision = ?");
    this.#setCompacted = database.prepare("UPDATE numbers SET value = ? WHERE name = 'compacted_revision'");
    this.#copyCompacted = database.prepare(`INSERT OR REPLACE INTO numbers VALUES ('${COMPACTED_COPY}', ?)`);
    this.#touch = database.prepare("UPDATE numbers SET value = value");
  }

  async commit(changes: readonly LoggedEvent[], compaction: Compaction | undefined): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    this.#transact(() => {
      for (const { event: { revision, key, current }, at } of changes) {
        const value = current?.bytes ?? null;
        this.#insert.run(revision, key, value, computeChecksum(revision, key, value), at);
      }
      if (compaction === undefined) return;
      for (const revision of compaction.forgotten) this.#forget.run(revision);
      this.#setCompacted.run(compaction.revision);
      this.#copyCompacted.run(compaction.revision);
    });
    try {
      await this.#file.sync();
    } catch (error) {
      this.#lost = lostError(error);
      this.#file.abandon();
      this.#onLost(this.#lost);
      throw this.#lost;
    }
    this.#pages += estimatePages(changes, compaction);
    if (this.#pages >= CHECKPOINT_PAGES) this.#checkpoint();
  }

  /**
   * Moves the log into the database. After a failure, the changes are still in the log, and a later checkpoint retries.
   */
  #checkpoint(): void {
    this.#pages = 0;
    try {
      this.#file.checkpoint();
    } catch {
      // The commit itself is on the disk.
    }
  }

  /** Tries a small commit after a failed one, so that the store becomes healthy without a write by a client. */
  check(): void {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#failed) this.#transact(() => void this.#touch.run());
    else this.#assertInPlace();
  }

  close(): void {
    if (this.#lost === undefined) this.#file.close();
  }

  #assertInPlace(): void {
    try {
      this.#file.assertInPlace();
    } catch (error) {
      throw ioError("cannot write to the storage", error);
    }
  }

  #transact(write: () => void): void {
    try {
      this.#file.assertInPlace();
      this.#rollBack();
      this.#begin.run();
      write();
      this.#commit.run();
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      this.#tryToRollBack();
      throw ioError("cannot write to the storage", error);
    }
  }

  /** Rolls back unless SQLite has done so itself, as it does after most failures. */
  #rollBack(): void {
    if (this.#file.database.isTransaction) this.#file.database.exec("ROLLBACK");
  }

  /** Rolls back if possible. If this fails too, the cause is already known, and the next commit rolls back first. */
  #tryToRollBack(): void {
    try {
      this.#rollBack();
    } catch {
      // The transaction is not visible either way.
    }
  }
}

/** The content of a database file. */
export interface LoadedJournal {
  readonly start: EngineStart;
  /** When each existing key was last written, in milliseconds since 1970, oldest first. */
  readonly writtenAt: ReadonlyMap<string, number>;
}

/** Reads the whole store; times later than `now` become `now`. Throws AppError `storage_corrupt`. */
export function loadChanges(path: string, database: DatabaseSync, now: number): LoadedJournal {
  const compactedRevision = readCompactedRevision(path, database);
  const live = new Map<string, Stored>();
  const writtenAt = new Map<string, number>();
  const changes: LoggedEvent[] = [];
  let base: readonly Stored[] | undefined;
  let newest = Math.max(1, compactedRevision);
  for (const row of readRows(database)) {
    const current = decodeRow(path, row);
    const { revision, key } = row;
    const at = Math.min(row.at, now);
    if (revision > compactedRevision) {
      base ??= [...live.values()];
      const previous = live.get(key);
      releaseObject(previous);
      changes.push({ event: { key, revision, current, previous }, at });
    }
    writtenAt.delete(key);
    if (current === undefined) live.delete(key);
    else live.set(key, current);
    if (current !== undefined) writtenAt.set(key, at);
    newest = Math.max(newest, revision);
  }
  return { start: { revision: newest, compactedRevision, base: base ?? [...live.values()], changes }, writtenAt };
}

function* readRows(database: DatabaseSync): Generator<Row> {
  const statement = database.prepare("SELECT revision, key, value, checksum, at FROM changes ORDER BY revision");
  // The columns' types are enforced by the STRICT table.
  for (const row of statement.iterate()) yield row as object as Row;
}

function decodeRow(path: string, { revision, key, value, checksum }: Row): Stored | undefined {
  if (computeChecksum(revision, key, value) !== checksum) {
    throw corruptError(path, `revision ${revision} of "${key}" is damaged`);
  }
  return value === null ? undefined : readStored(key, revision, value);
}

/**
 * Reads the compacted revision. If it were too low, a client could resume where changes are missing, and lose them
 * without notice; its copy reveals that. The copy is older or absent if an earlier build has compacted since.
 */
function readCompactedRevision(path: string, database: DatabaseSync): number {
  const read = (name: string): unknown =>
    database.prepare("SELECT value FROM numbers WHERE name = ?").get(name)?.["value"];
  const [value, copy = 0] = [read("compacted_revision"), read(COMPACTED_COPY)];
  if (typeof value !== "number") throw corruptError(path, "the compacted revision is missing");
  if (typeof copy !== "number" || copy > value) throw corruptError(path, "the compacted revision is damaged");
  return value;
}

/** Computes CRC-32 over the whole row, because SQLite does not detect a flipped bit in a value. */
function computeChecksum(revision: number, key: string, value: Uint8Array | null): number {
  const head = crc32(Buffer.from(`${revision} ${value === null ? "-" : "+"} ${key}\0`, "utf8"));
  return value === null ? head : crc32(value, head);
}

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
