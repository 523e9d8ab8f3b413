/**
 * The Storage port over an engine and a journal. Reads and watches are served from memory. Writes are collected until the
 * scheduler commits them together, and become visible only then (group commit). While one commit is written to the disk,
 * the writes of the next one are collected.
 */
import { AppError } from "../../../core/errors.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import { Batch } from "./batch.ts";
import type { Engine } from "./engine.ts";
import { EventExpiry } from "./expiry.ts";
import type { Compaction, LoggedEvent } from "./history.ts";
import { measureStored } from "./key_index.ts";
import { assertAcceptable } from "../size_limit.ts";
import { createStored, releaseObject } from "../stored.ts";
import { Watchers, type WatchListener } from "../watchers.ts";
import {
  AlreadyExistsError,
  createSteadyNow,
  RevisionConflictError,
  type Storage,
  type StorageListOptions,
  type StoragePage,
  type StorageWatch,
  type Stored,
  WriteRefusedError,
} from "../storage.ts";
import type { StoredValues } from "../etcd/contents.ts";

/** A journal that makes commits durable. */
export interface Journal {
  /** Makes changes durable, all or none, and drops compacted history; one call at a time. Throws AppError `io`. */
  commit(changes: readonly LoggedEvent[], compaction: Compaction | undefined): Promise<void>;
  /** Throws AppError `io` when a commit would fail. */
  check(): void;
  close(): void;
}

/** The retention times of a store. */
export interface StorageTimes {
  /** How long changes stay known, up to 256 MiB; five minutes, etcd's compaction interval under kube-apiserver. */
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
  readonly quotaBytes?: number;
  /** Encodes an object as etcd stores it, to measure its size; by default its JSON is measured. */
  readonly values?: Pick<StoredValues, "encode">;
}

const DEFAULT_QUOTA_BYTES = 2 * 1024 ** 3;
/** The share of the quota that updates may take beyond it: heartbeats, and the marks and finalizers of deletions. */
const UPDATE_RESERVE = 1 / 16;
/** Objects with less JSON fit into etcd in any form. */
const LARGE_JSON_BYTES = 786_432;

/** The parts of a journaled store. */
export interface JournaledStorageDeps extends StorageTimes, StorageLimits {
  /** The name of the store in messages. */
  readonly name: string;
  readonly engine: Engine;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  /** When each key that exists already was last written, in milliseconds since 1970, oldest first. */
  readonly writtenAt: ReadonlyMap<string, number>;
  /** Runs a commit soon, after the code that is running now. */
  schedule(commit: () => void): void;
}

/**
 * A commit drops this many more changes than it makes, so that the history shrinks after a burst without a slow commit.
 */
const EXTRA_FORGOTTEN = 200;
/** How long a commit may take before the store counts as unhealthy. */
const HUNG_MS = 10_000;

/** A store in memory, durable by its journal. */
export class JournaledStorage implements Storage {
  readonly #deps: JournaledStorageDeps;
  readonly #watchers: Watchers;
  readonly #expiry: EventExpiry;
  readonly #now: () => number;
  /** The writes of the next commit. */
  #batch: Batch | undefined;
  /** The writes of the running commit. */
  #committing: Batch | undefined;
  #underway: Promise<void> | undefined;
  /** When the running commit began, by a monotonic clock. */
  #underwaySince = 0;
  /** The newest revision assigned to a write; revisions of failed commits are not used again. */
  #lastNumber: number;
  #disposal: Promise<void> | undefined;
  #isClosing = false;
  #closed = false;

  constructor(deps: JournaledStorageDeps) {
    this.#deps = deps;
    this.#watchers = new Watchers(deps.logger);
    this.#lastNumber = deps.engine.revision;
    this.#now = createSteadyNow(deps.clock);
    this.#expiry = new EventExpiry({ ...deps, now: this.#now }, this);
  }

  async get(key: string): Promise<Stored | undefined> {
    this.#assertOpen();
    return this.#deps.engine.get(key);
  }

  async list(prefix: string, options: StorageListOptions = {}): Promise<StoragePage> {
    this.#assertOpen();
    return this.#deps.engine.list(prefix, options);
  }

  async create(key: string, object: KubeObject): Promise<Stored> {
    this.#assertWritable();
    if (this.#getState(key) !== undefined) return await this.#refuse(key, () => new AlreadyExistsError(key));
    const stored = this.#newState(key, object, undefined);
    return await this.#pending().add({ key, revision: stored.revision, current: stored }, stored);
  }

  async update(key: string, object: KubeObject, expectedRevision: number): Promise<Stored> {
    this.#assertWritable();
    const previous = this.#getState(key);
    if (previous?.revision !== expectedRevision || previous === undefined) return await this.#conflict(key);
    const stored = this.#newState(key, object, previous);
    return await this.#pending().add({ key, revision: stored.revision, current: stored, previous }, stored);
  }

  async delete(
    key: string,
    expectedRevision: number,
  ): Promise<{ readonly previous: Stored; readonly revision: number }> {
    this.#assertWritable();
    const previous = this.#getState(key);
    if (previous?.revision !== expectedRevision || previous === undefined) return await this.#conflict(key);
    const revision = this.#nextNumber();
    return await this.#pending().add({ key, revision, previous }, { previous, revision });
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

  compactedRevision(): number {
    return this.#deps.engine.compactedRevision;
  }

  async health(): Promise<void> {
    this.#assertOpen();
    const waitedMs = this.#committing === undefined ? 0 : this.#deps.clock.elapsedMs() - this.#underwaySince;
    if (waitedMs > HUNG_MS) {
      throw new AppError(
        "io",
        `cannot write the storage: the disk has not answered for ${Math.round(waitedMs / 1000)} s`,
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
    while (this.#batch !== undefined || this.#underway !== undefined) await this.#commit();
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

  /** Creates the state of a write. Throws WriteRefusedError, and then no revision is used up. */
  #newState(key: string, object: KubeObject, previous: Stored | undefined): Stored {
    const stored = createStored(key, object, this.#lastNumber + 1);
    if (stored.bytes.length > LARGE_JSON_BYTES) {
      const value = this.#deps.values?.encode(key, object) ?? stored.bytes;
      assertAcceptable({ key, guard: { modRevision: previous?.revision ?? 0 }, value });
    }
    this.#assertRoom(stored, previous);
    this.#nextNumber();
    return stored;
  }

  #assertRoom(stored: Stored, previous: Stored | undefined): void {
    const { engine, logger, quotaBytes = DEFAULT_QUOTA_BYTES } = this.#deps;
    const growth = measureStored(stored) - measureStored(previous);
    const bytes = engine.bytes + (this.#committing?.growth ?? 0) + (this.#batch?.growth ?? 0);
    const most = previous === undefined ? quotaBytes : quotaBytes * (1 + UPDATE_RESERVE);
    if (growth <= 0 || bytes + growth <= most) return;
    logger?.error("the storage is full, delete what is not needed", { bytes, quotaBytes });
    throw new WriteRefusedError("etcdserver: mvcc: database space exceeded", "full");
  }

  #nextNumber(): number {
    return ++this.#lastNumber;
  }

  #pending(): Batch {
    if (this.#batch === undefined) {
      this.#batch = new Batch();
      if (this.#underway === undefined) this.#commitSoon();
    }
    return this.#batch;
  }

  #commitSoon(): void {
    this.#deps.schedule(() => void this.#commit());
  }

  #conflict(key: string): Promise<never> {
    const current = this.#getState(key);
    return this.#refuse(key, () => new RevisionConflictError(key, current));
  }

  #refuse(key: string, makeError: () => Error): Promise<never> {
    return this.#findBatch(key)?.refuse(makeError()) ?? Promise.reject(makeError());
  }

  /** Resolves when the running commit has ended, or else one of the waiting writes. */
  #commit(): Promise<void> {
    return this.#underway ??= this.#commitNext().finally(() => {
      this.#underway = undefined;
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
    this.#underwaySince = this.#deps.clock.elapsedMs();
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
    engine.apply(changes, compaction);
    this.#expiry.observe(changes);
    this.#watchers.notify(batch.events);
    for (const { previous } of batch.events) releaseObject(previous);
    batch.settle();
  }
}
