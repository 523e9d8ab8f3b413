/**
 * The disks of a simulation. When the power of a machine is cut, each unsynced change is kept or lost at random, in any
 * combination.
 */
import { DatabaseSync, type Session } from "node:sqlite";
import { dirname } from "node:path";
import { type FilePort, toTemporaryPath } from "../../client/files.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import type { StoredValues } from "../../server/storage/etcd/contents.ts";
import { Engine } from "../../server/storage/memory/engine.ts";
import { DEFAULT_STORAGE_TIMES, JournaledStorage } from "../../server/storage/memory/journaled_storage.ts";
import { TABLES } from "../../server/storage/sqlite/sqlite_storage.ts";
import { loadChanges, SqliteJournal } from "../../server/storage/sqlite/journal.ts";
import type { Storage, StorageEvent } from "../../server/storage/storage.ts";
import { createMemoryFiles, type MemoryFiles } from "../support/memory_files.ts";

/** The dependencies of a disk: randomness, and the time that each step takes. */
export interface DiskDeps {
  readonly random: Random;
  readonly wait: (ms: number) => Promise<void>;
}

/** The files of a simulated machine. */
interface SimulatedFiles extends FilePort {
  /** Loses some of the changes that were not synced. */
  cutPower(): void;
}

type Entries = MemoryFiles["entries"];

/** The longest time of one step of a write, in milliseconds. */
const STEP_MS = 4;

/** Creates an empty disk, whose writes have the steps of `createFilePort`. */
export function createSimulatedFiles({ random, wait }: DiskDeps): SimulatedFiles {
  const files = createMemoryFiles();
  let durable: Entries = new Map();
  let unsynced: { readonly folder: string; readonly apply: (entries: Entries) => void }[] = [];
  const step = () => wait(random.float() * STEP_MS);
  /** Changes the names of a folder. A power cut may undo the change until the folder is synced. */
  const change = (path: string, apply: (entries: Entries) => void): void => {
    apply(files.entries);
    unsynced.push({ folder: dirname(path), apply });
  };
  const syncFolder = (folder: string): void => {
    for (const change of unsynced) if (change.folder === folder) change.apply(durable);
    unsynced = unsynced.filter((change) => change.folder !== folder);
  };
  const check = (write: () => Promise<void>): Promise<void> => {
    // Apply the change with the checks of files in memory, and undo it.
    const before = new Map(files.entries);
    return write().finally(() => {
      files.entries.clear();
      for (const [path, entry] of before) files.entries.set(path, entry);
    });
  };
  const write = async (path: string, content: string | Uint8Array, mode: number): Promise<void> => {
    const text = typeof content === "string" ? content : new TextDecoder("latin1").decode(content);
    let number = 0;
    while (files.entries.has(toTemporaryPath(path, number))) number++;
    const temporary = toTemporaryPath(path, number);
    const truncated = text.slice(0, text.length / 2);
    change(temporary, (entries) => entries.set(temporary, { kind: "file", text: truncated, mode }));
    await step();
    change(temporary, (entries) => entries.set(temporary, { kind: "file", text, mode }));
    await step();
    change(path, (entries) => {
      entries.delete(temporary);
      entries.set(path, { kind: "file", text, mode });
    });
    await step();
    syncFolder(dirname(path));
  };
  return {
    ...files,
    writeAtomic: write,
    async createExclusive(path, text, mode) {
      await check(() => files.createExclusive(path, text, mode));
      await write(path, text, mode);
    },
    async symlink(target, path) {
      await check(() => files.symlink(target, path));
      change(path, (entries) => entries.set(path, { kind: "symlink", target }));
    },
    async rename(from, to) {
      await check(() => files.rename(from, to));
      const entry = files.entries.get(from)!;
      change(to, (entries) => {
        entries.delete(from);
        entries.set(to, entry);
      });
      await step();
      syncFolder(dirname(to));
    },
    async unlink(path) {
      if (files.entries.has(path)) change(path, (entries) => entries.delete(path));
    },
    async makeDirectory(path, mode) {
      if (!files.entries.has(path)) change(path, (entries) => entries.set(path, { kind: "directory", mode }));
    },
    cutPower() {
      for (const { apply } of unsynced) if (random.float() < 0.5) apply(durable);
      unsynced = [];
      files.entries.clear();
      for (const [path, entry] of durable) files.entries.set(path, entry);
      durable = new Map(durable);
    },
  };
}

/**
 * The database of one server: SQLite in memory, whose commits reach the disk when they are synced. An unsynced commit
 * is kept or lost as a whole, because SQLite ignores its log from the first wrong checksum on.
 */
export class SimulatedDatabase {
  readonly #deps: DiskDeps;
  readonly #onCommit: (event: StorageEvent) => void;
  #durable = createTables();
  #database: DatabaseSync | undefined;
  #session: Session | undefined;

  /** Calls `onCommit` with each change of a commit before the store acknowledges it. */
  constructor(deps: DiskDeps, onCommit: (event: StorageEvent) => void) {
    this.#deps = deps;
    this.#onCommit = onCommit;
  }

  /** Opens the store for a process that is starting. */
  open(deps: { readonly clock: Clock; readonly logger: Logger; readonly values: StoredValues }): Storage {
    const database = this.#database ?? copyDatabase(this.#durable);
    this.#database = database;
    this.#session ??= database.createSession();
    const file = {
      database,
      assertInPlace() {},
      sync: () => this.#sync(),
      checkpoint() {},
      close() {},
      abandon() {},
    };
    const journal = new SqliteJournal(file, () => undefined);
    const commit = async (...[changes, compaction]: Parameters<SqliteJournal["commit"]>): Promise<void> => {
      await journal.commit(changes, compaction);
      for (const { event } of changes) this.#onCommit(event);
    };
    const { start, writtenAt } = loadChanges("tlsboot.db", database, deps.clock.now().getTime());
    return new JournaledStorage({
      ...DEFAULT_STORAGE_TIMES,
      ...deps,
      name: "tlsboot.db",
      engine: new Engine(start),
      journal: { commit, check: () => journal.check(), close() {} },
      writtenAt,
      schedule: queueMicrotask,
    });
  }

  cutPower(): void {
    if (this.#deps.random.float() < 0.5) this.#keep();
    this.#database = undefined;
    this.#session = undefined;
  }

  async #sync(): Promise<void> {
    await this.#deps.wait(this.#deps.random.float() * STEP_MS);
    this.#keep();
  }

  /** Copies the committed changes to the disk. */
  #keep(): void {
    if (this.#session === undefined || this.#database === undefined) return;
    const changes = this.#session.changeset();
    this.#session.close();
    this.#session = this.#database.createSession();
    if (changes.length > 0) this.#durable.applyChangeset(changes);
  }
}

function createTables(): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  database.exec(TABLES);
  return database;
}

function copyDatabase(from: DatabaseSync): DatabaseSync {
  const copy = createTables();
  copy.exec("DELETE FROM numbers");
  for (const [table, columns] of [["changes", 5], ["numbers", 2]] as const) {
    const insert = copy.prepare(`INSERT INTO ${table} VALUES (${Array(columns).fill("?").join()})`);
    for (const row of from.prepare(`SELECT * FROM ${table}`).iterate()) insert.run(...Object.values(row));
  }
  return copy;
}
