/**
 * The Storage port over an engine and a journal. Reads and watches are served from memory. Writes are collected until
 * the scheduler commits them together, and become visible only then (group commit). While one commit is written to the
 * disk, the writes of the next one are collected. A storage in memory has a journal that does nothing.
 */
import { AppError } from "../../../core/errors.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import { type Compaction, EMPTY_START, Engine, type LoggedEvent, measureStored } from "./engine.ts";
import { EventExpiry } from "./expiry.ts";
import { createStored, releaseObject } from "../stored.ts";
import { assertAcceptable, assertTransaction, findConflict, SingleWrites } from "../transaction.ts";
import { Watchers, type WatchListener } from "../follow.ts";
import {
  type AlreadyExistsError,
  createSteadyNow,
  type RevisionConflictError,
  type Storage,
  type StorageEvent,
  type StorageListOptions,
  type StoragePage,
  type StorageWatch,
  type Stored,
  type Write,
  WriteRefusedError,
} from "../storage.ts";
import type { StoredValues } from "../etcd/contents.ts";

export interface Journal {
  /** Makes changes durable, all or none, and drops compacted history; one call at a time. Throws AppError `io`. */
  commit(changes: readonly LoggedEvent[], compaction: Compaction | undefined): Promise<void>;
  /** Throws AppError `io` when a commit would fail. */
  check(): void;
  close(): void;
}

/** The retention times of a store. */
export interface StorageTimes {
  /** How long changes are kept, up to 256 MiB; five minutes, like kube-apiserver's compaction interval for etcd. */
  readonly historyMs: number;
  /** How long an Event object lives after its last write; one hour, kube-apiserver's `--event-ttl`. */
  readonly eventTtlMs: number;
}

/** The default retention times, in milliseconds. */
export const DEFAULT_STORAGE_TIMES: StorageTimes = { historyMs: 5 * 60_000, eventTtlMs: 60 * 60_000 };

/** The size limits of a store. */
export interface StorageLimits {
  /**
   * The limit for the bytes of all keys and objects; 2 GiB by default, as etcd's `--quota-backend-bytes`. A full store
   * refuses creations, but allows deletions, and updates within a reserve. History has its own limit.
   */
  readonly quotaBytes?: number | undefined;
  /** Encodes an object as etcd stores it, to measure its size; by default its JSON is measured. */
  readonly values?: Pick<StoredValues, "encode">;
}

const DEFAULT_QUOTA_BYTES = 2 * 1024 ** 3;
/** The share of the quota by which updates may exceed it, such as heartbeats and the steps of deletions. */
const UPDATE_RESERVE = 1 / 16;
/** Objects with less JSON fit into etcd in any encoding. */
const LARGE_JSON_BYTES = 786_432;

export interface JournaledStorageDeps extends StorageTimes, StorageLimits {
  /** The name of the store in messages. */
  readonly name: string;
  readonly engine: Engine;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  /** When each existing key was last written, in milliseconds since 1970, oldest first. */
  readonly writtenAt: ReadonlyMap<string, number>;
  /** Runs a commit soon, after the code that is running now. */
  schedule(commit: () => void): void;
}

/**
 * How many more changes a commit drops than it makes, so that the history shrinks after a burst without a slow commit.
 */
const EXTRA_FORGOTTEN = 200;
/** How long a commit may take before the store counts as unhealthy. */
const HUNG_MS = 10_000;

/** A store in memory, which its journal makes durable. */
export class JournaledStorage extends SingleWrites implements Storage {
  readonly sharesRevisions = false;
  readonly #deps: JournaledStorageDeps;
  readonly #watchers: Watchers;
  readonly #expiry: EventExpiry;
  readonly #now: () => number;
  /** The writes of the next commit. */
  #batch: Batch | undefined;
  /** The writes of the running commit. */
  #committing: Batch | undefined;
  #running: Promise<void> | undefined;
  /** When the running commit began, by a monotonic clock. */
  #runningSince = 0;
  /** The newest revision assigned to a write; revisions of failed commits are not used again. */
  #lastNumber: number;
  #disposal: Promise<void> | undefined;
  #isClosing = false;
  #closed = false;

  constructor(deps: JournaledStorageDeps) {
    super();
    this.#deps = deps;
    this.#watchers = new Watchers(deps.logger);
    this.#lastNumber = deps.engine.revision;
    this.#now = createSteadyNow(deps.clock);
    this.#expiry = new EventExpiry({ ...deps, now: this.#now }, this);
  }

  async get(key: string): Promise<Stored | undefined> {
    return this.getKnown(key);
  }

  getKnown(key: string): Stored | undefined {
    this.#assertOpen();
    return this.#deps.engine.get(key);
  }

  async list(prefix: string, options: StorageListOptions = {}): Promise<StoragePage> {
    this.#assertOpen();
    return this.#deps.engine.list(prefix, options);
  }

  async transact(writes: readonly Write[]): Promise<readonly StorageEvent[]> {
    this.#assertWritable();
    assertTransaction(writes);
    if (writes.length === 0) return [];
    const error = findConflict(writes, (key) => this.#getState(key));
    if (error !== undefined) return await this.#refuse(error);
    return await this.#pending().add(this.#prepare(writes));
  }

  watch(prefix: string, afterRevision: number, onEvents: WatchListener): StorageWatch {
    this.#assertOpen();
    return this.#watchers.add(prefix, afterRevision, this.#deps.engine.eventsSince(afterRevision), onEvents);
  }

  /** Resolves at once, because no other server writes to this store. */
  async catchUp(): Promise<void> {
    this.#assertOpen();
  }

  revision(): number {
    return this.#deps.engine.revision;
  }

  async health(): Promise<void> {
    this.#assertOpen();
    const waitedMs = this.#committing === undefined ? 0 : this.#deps.clock.elapsedMs() - this.#runningSince;
    if (waitedMs > HUNG_MS) {
      throw new AppError(
        "io",
        `cannot write to the storage: the disk has not answered for ${Math.round(waitedMs / 1000)} s`,
      );
    }
    this.#deps.journal.check();
  }

  /** Commits the waiting writes, then closes the journal. A second call does nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    await this.#expiry[Symbol.asyncDispose]();
    this.#isClosing = true;
    while (this.#batch !== undefined || this.#running !== undefined) await this.#commit();
    this.#closed = true;
    this.#watchers.stopAll();
    this.#deps.journal.close();
  }

  #assertWritable(): void {
    if (this.#isClosing) throw this.#closedError();
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  #closedError(): AppError {
    return new AppError("aborted", `cannot use storage "${this.#deps.name}": it is closed`);
  }

  /** Returns the state of a key after all writes so far are committed. */
  #getState(key: string): Stored | undefined {
    const batch = this.#findBatch(key);
    return batch === undefined ? this.#deps.engine.get(key) : batch.getState(key);
  }

  /** Finds the newest uncommitted batch that touches a key. */
  #findBatch(key: string): Batch | undefined {
    if (this.#batch?.touches(key) === true) return this.#batch;
    return this.#committing?.touches(key) === true ? this.#committing : undefined;
  }

  /**
   * Creates the changes of a transaction whose conditions are true. Throws WriteRefusedError without using up a
   * revision.
   */
  #prepare(writes: readonly Write[]): readonly StorageEvent[] {
    const events = writes.map((write, index) => {
      const { key } = write;
      const revision = this.#lastNumber + 1 + index;
      const previous = this.#getState(key);
      const current = write.kind === "delete" ? undefined : createStored(key, write.object, revision);
      return { key, revision, current, previous };
    });
    this.#assertSize(events);
    this.#assertRoom(events);
    this.#lastNumber += events.length;
    return events;
  }

  /** Throws WriteRefusedError for a transaction that etcd would refuse. */
  #assertSize(events: readonly StorageEvent[]): void {
    const bytes = events.reduce((sum, { current }) => sum + (current?.bytes.length ?? 0), 0);
    if (bytes <= LARGE_JSON_BYTES) return;
    assertAcceptable(events.map(({ key, current, previous }) => ({
      key,
      guard: { modRevision: previous?.revision ?? 0 },
      value: current && (this.#deps.values?.encode(key, current.object) ?? current.bytes),
    })));
  }

  #assertRoom(events: readonly StorageEvent[]): void {
    const { engine, logger, quotaBytes = DEFAULT_QUOTA_BYTES } = this.#deps;
    let growth = 0;
    for (const { current, previous } of events) growth += measureStored(current) - measureStored(previous);
    const bytes = engine.bytes + (this.#committing?.growth ?? 0) + (this.#batch?.growth ?? 0);
    const creates = events.some(({ previous }) => previous === undefined);
    const limit = creates ? quotaBytes : quotaBytes * (1 + UPDATE_RESERVE);
    if (growth <= 0 || bytes + growth <= limit) return;
    logger?.error("the storage is full, delete what is not needed", { bytes, quotaBytes });
    throw new WriteRefusedError("etcdserver: mvcc: database space exceeded", "full");
  }

  #pending(): Batch {
    if (this.#batch === undefined) {
      this.#batch = new Batch();
      if (this.#running === undefined) this.#commitSoon();
    }
    return this.#batch;
  }

  #commitSoon(): void {
    this.#deps.schedule(() => void this.#commit());
  }

  /** Rejects with an error about a key, after the commit of an uncommitted change that caused it. */
  #refuse(error: AlreadyExistsError | RevisionConflictError): Promise<never> {
    return this.#findBatch(error.key)?.refuse(error) ?? Promise.reject(error);
  }

  /** Resolves when the running commit has ended or, without one, a new commit of the waiting writes. */
  #commit(): Promise<void> {
    return this.#running ??= this.#commitNext().finally(() => {
      this.#running = undefined;
      if (this.#batch !== undefined) this.#commitSoon();
    });
  }

  /** Rejects the failed commit and all later writes, because those were checked against it. */
  #refuseUncommitted(error: unknown): void {
    const refused = [this.#committing, this.#batch];
    this.#committing = undefined;
    this.#batch = undefined;
    for (const batch of refused) batch?.reject(error);
  }

  async #commitNext(): Promise<void> {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    this.#committing = batch;
    this.#runningSince = this.#deps.clock.elapsedMs();
    const { engine, journal, historyMs } = this.#deps;
    const now = this.#now();
    const changes = batch.events.map((event) => ({ event, at: now }));
    const compaction = engine.planCompaction(now - historyMs, changes.length + EXTRA_FORGOTTEN);
    try {
      await journal.commit(changes, compaction);
    } catch (error) {
      this.#refuseUncommitted(error);
      return;
    }
    this.#committing = undefined;
    try {
      engine.apply(changes, compaction);
      this.#expiry.observe(changes);
      this.#watchers.notify(batch.events);
      for (const { previous } of batch.events) releaseObject(previous);
    } finally {
      // The changes are durable, so every caller must get them.
      batch.settle();
    }
  }
}

/** The caller of one transaction, which waits for the commit. */
interface Waiter {
  /** Called once the commit is durable. */
  settle(): void;
  /** Called when the commit failed. */
  reject(error: unknown): void;
}

/**
 * The writes that wait for the next commit. They are checked against the committed state and earlier writes, and
 * numbered, when they are requested, so the order of calls is the order of revisions.
 */
class Batch {
  readonly #events: StorageEvent[] = [];
  readonly #waiters: Waiter[] = [];
  /** The states of keys after the commit; undefined for a deleted one. */
  readonly #states = new Map<string, Stored | undefined>();

  #growth = 0;

  /** The bytes that the store grows by with the commit. */
  get growth(): number {
    return this.#growth;
  }

  get events(): readonly StorageEvent[] {
    return this.#events;
  }

  /** True when this commit changes the key. */
  touches(key: string): boolean {
    return this.#states.has(key);
  }

  /** Returns the state of a touched key after the commit. */
  getState(key: string): Stored | undefined {
    return this.#states.get(key);
  }

  /** Adds the changes of a transaction; the promise resolves with them after the commit. */
  add(changes: readonly StorageEvent[]): Promise<readonly StorageEvent[]> {
    for (const event of changes) {
      this.#growth += measureStored(event.current) - measureStored(event.previous);
      this.#events.push(event);
      this.#states.set(event.key, event.current);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ settle: () => resolve(changes), reject }));
  }

  /**
   * Refuses a transaction because of a change that is not committed yet. The promise rejects after the commit, when
   * reading the key again shows that change. If it rejected at once, a caller that reads and retries would starve the
   * commit.
   */
  refuse(error: Error): Promise<never> {
    return new Promise((_resolve, reject) => this.#waiters.push({ settle: () => reject(error), reject }));
  }

  settle(): void {
    for (const waiter of this.#waiters) waiter.settle();
  }

  reject(error: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(error);
  }
}

/** The options of a store in memory; times in milliseconds. */
export interface MemoryStorageDeps extends Partial<StorageTimes>, StorageLimits {
  readonly clock: Clock;
  readonly logger?: Logger;
}

/** Opens an empty store in memory. Its writes commit within the same turn of the event loop. */
export function createMemoryStorage(deps: MemoryStorageDeps): Storage {
  return new JournaledStorage({
    ...DEFAULT_STORAGE_TIMES,
    ...deps,
    name: "memory",
    engine: new Engine(EMPTY_START),
    journal: NO_JOURNAL,
    logger: deps.logger,
    writtenAt: new Map(),
    schedule: queueMicrotask,
  });
}

const NO_JOURNAL: Journal = { async commit() {}, check() {}, close() {} };
