/**
 * The journal in SQLite: one row per change that is still known or still the newest of its key. Reading the rows in
 * order gives the whole store back.
 *
 * SQLite writes a transaction into its write-ahead log (`synchronous=NORMAL`), and the log is put on disk here: a thread
 * of the runtime waits for the disk, where SQLite would hold up the whole program.
 */
import { Buffer } from "node:buffer";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { EngineStart, Known, KnownState } from "./_engine.ts";
import type { Compaction, LoggedEvent } from "./_history.ts";
import type { Journal } from "./_journaled_storage.ts";
import { corruptError, ioError } from "./_sqlite_errors.ts";
import type { DatabaseFile } from "./_sqlite_file.ts";
import { readStored, releaseObject } from "./_stored.ts";
import type { StorageEvent, Stored } from "./storage.ts";

/** A row of `changes`; `value` is null for a deletion. */
interface Row {
  readonly revision: number;
  readonly key: string;
  readonly value: Uint8Array | null;
  readonly checksum: number;
  readonly at: number;
}

/** Commits to an open file. */
export class SqliteJournal implements Journal {
  readonly #file: DatabaseFile;
  readonly #known: () => Known;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #insert: StatementSync;
  readonly #forget: StatementSync;
  readonly #setCompacted: StatementSync;
  readonly #touch: StatementSync;
  #health: "good" | "failed" | "doubtful" = "good";

  /** `known` tells all that was acknowledged and that somebody can still ask for. */
  constructor(file: DatabaseFile, known: () => Known) {
    const { database } = file;
    this.#file = file;
    this.#known = known;
    this.#begin = database.prepare("BEGIN IMMEDIATE");
    this.#commit = database.prepare("COMMIT");
    this.#insert = database.prepare("INSERT INTO changes (revision, key, value, checksum, at) VALUES (?, ?, ?, ?, ?)");
    this.#forget = database.prepare("DELETE FROM changes WHERE revision = ?");
    this.#setCompacted = database.prepare("UPDATE numbers SET value = ? WHERE name = 'compacted_revision'");
    this.#touch = database.prepare("UPDATE numbers SET value = value");
  }

  async commit(changes: readonly LoggedEvent[], compaction: Compaction | undefined): Promise<void> {
    this.#recover();
    this.#transact(() => {
      for (const { event: { revision, key, current }, at } of changes) {
        this.#write({ revision, key, value: current?.bytes ?? null }, at);
      }
      if (compaction === undefined) return;
      for (const revision of compaction.forgotten) this.#forget.run(revision);
      this.#setCompacted.run(compaction.revision);
    });
    try {
      await this.#file.sync();
    } catch (error) {
      this.#health = "doubtful";
      throw ioError("cannot write the storage", error);
    }
  }

  /** After a failed commit it tries whether the disk is well, so that health returns before the next write does. */
  check(): void {
    if (this.#health === "good") this.#attempt(() => this.#file.assertInPlace());
    else this.#recover();
  }

  close(): void {
    this.#file.close();
  }

  /** Throws AppError `io` while the disk is not well. */
  #recover(): void {
    switch (this.#health) {
      case "good":
        return;
      case "failed":
        this.#transact(() => void this.#touch.run());
        break;
      case "doubtful":
        this.#rewrite();
    }
    this.#health = "good";
  }

  /**
   * Writes everything anew, without what nobody was told of. When the disk says that it could not keep something, it may
   * have kept any part of it, and will not say so again (fsync(2)); what it gives back of it is then not to be relied on,
   * not even where other rows of the same pages are concerned.
   */
  #rewrite(): void {
    const { compactedRevision, states } = this.#known();
    this.#transact(() => {
      const { database } = this.#file;
      const times = readTimes(database);
      let at = 0;
      database.exec("DELETE FROM changes");
      for (const state of states) this.#write(state, at = times.get(state.revision) ?? at);
      database.exec(`DELETE FROM numbers; INSERT INTO numbers VALUES ('compacted_revision', ${compactedRevision})`);
    });
    this.#attempt(() => this.#file.rewrite());
  }

  #write({ revision, key, value }: KnownState, at: number): void {
    this.#insert.run(revision, key, value, checksumOf(revision, key, value), at);
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      throw ioError("cannot write the storage", error);
    }
  }

  #transact(write: () => void): void {
    try {
      this.#file.assertInPlace();
      this.#leaveTransaction();
      this.#begin.run();
      write();
      this.#commit.run();
    } catch (error) {
      if (this.#health === "good") this.#health = "failed";
      this.#tryToLeaveTransaction();
      throw ioError("cannot write the storage", error);
    }
  }

  /** After most failures SQLite has rolled back by itself. */
  #leaveTransaction(): void {
    if (this.#file.database.isTransaction) this.#file.database.exec("ROLLBACK");
  }

  /** A disk that fails here too has said why before; the next commit rolls back first. */
  #tryToLeaveTransaction(): void {
    try {
      this.#leaveTransaction();
    } catch {
      // Nothing of the transaction is visible either way.
    }
  }
}

/** What a file holds. */
export interface Loaded {
  readonly start: EngineStart;
  /** When each living key was last written, in milliseconds since 1970, oldest first. */
  readonly writtenAt: ReadonlyMap<string, number>;
}

/** Reads everything back; times later than `now` become `now`. Throws AppError `storage_corrupt`. */
export function loadChanges(path: string, database: DatabaseSync, now: number): Loaded {
  const compactedRevision = readCompactedRevision(path, database);
  const living = new Map<string, Stored>();
  const writtenAt = new Map<string, number>();
  const changes: LoggedEvent[] = [];
  let base: readonly Stored[] | undefined;
  let newest = Math.max(1, compactedRevision);
  for (const row of readRows(database)) {
    const current = decodeRow(path, row);
    const { revision, key } = row;
    const at = Math.min(row.at, now);
    if (revision > compactedRevision) {
      base ??= [...living.values()];
      const previous = living.get(key);
      releaseObject(previous);
      changes.push({ event: eventOf(key, revision, current, previous), at });
    }
    writtenAt.delete(key);
    if (current === undefined) living.delete(key);
    else living.set(key, current);
    if (current !== undefined) writtenAt.set(key, at);
    newest = Math.max(newest, revision);
  }
  return { start: { revision: newest, compactedRevision, base: base ?? [...living.values()], changes }, writtenAt };
}

/** When each row was made. */
function readTimes(database: DatabaseSync): ReadonlyMap<number, number> {
  const times = new Map<number, number>();
  for (const { revision, at } of database.prepare("SELECT revision, at FROM changes").iterate()) {
    times.set(Number(revision), Number(at));
  }
  return times;
}

function* readRows(database: DatabaseSync): Generator<Row> {
  const statement = database.prepare("SELECT revision, key, value, checksum, at FROM changes ORDER BY revision");
  // The columns' types are enforced by the STRICT table.
  for (const row of statement.iterate()) yield row as object as Row;
}

function decodeRow(path: string, { revision, key, value, checksum }: Row): Stored | undefined {
  if (checksumOf(revision, key, value) !== checksum) {
    throw corruptError(path, `revision ${revision} of "${key}" is damaged`);
  }
  return value === null ? undefined : readStored(key, revision, value);
}

function readCompactedRevision(path: string, database: DatabaseSync): number {
  const row = database.prepare("SELECT value FROM numbers WHERE name = 'compacted_revision'").get();
  const value = row?.["value"];
  if (typeof value !== "number") throw corruptError(path, "the compacted revision is missing");
  return value;
}

function eventOf(
  key: string,
  revision: number,
  current: Stored | undefined,
  previous: Stored | undefined,
): StorageEvent {
  return {
    key,
    revision,
    ...(current === undefined ? {} : { current }),
    ...(previous === undefined ? {} : { previous }),
  };
}

/** CRC-32 over the whole row: SQLite itself does not notice a flipped bit in a value. */
function checksumOf(revision: number, key: string, value: Uint8Array | null): number {
  const head = crc32(Buffer.from(`${revision} ${value === null ? "-" : "+"} ${key}\0`, "utf8"));
  return value === null ? head : crc32(value, head);
}
