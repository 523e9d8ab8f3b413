/**
 * A store on an etcd (3.5.13 and later), which other tlsboot servers and kube-apiservers may share. Writes are etcd
 * transactions, and everything else is served from the mirror.
 */
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import { EtcdClient, type EtcdClientParts, type EtcdEndpoints, type EtcdObserver } from "./client.ts";
import { assertReleases, findWriteRefusal, fullError, isLeaseGone } from "./errors.ts";
import { assertNotRestoring } from "./restore_marker.ts";
import { EventLeases } from "./leases.ts";
import { EtcdMirror, readCurrentRevision, type SentChange } from "./mirror.ts";
import { DEFAULT_STORAGE_TIMES, type StorageTimes } from "../memory/journaled_storage.ts";
import { createStoreContents, type StoreContents, type StoredValues } from "./contents.ts";
import {
  AlreadyExistsError,
  RevisionConflictError,
  type Storage,
  type StorageEvent,
  type StorageListOptions,
  type StoragePage,
  type StorageWatch,
  type Stored,
  type Write,
} from "../storage.ts";
import { setTimeout as sleep } from "node:timers/promises";
import type { GuardedWrite, TransactionResponse } from "./wire.ts";
import { createStored } from "../stored.ts";
import { assertOneOfEachResource, assertSendable, findConflict, SingleWrites } from "../transaction.ts";
import type { LostListener, WatchListener } from "../follow.ts";

export type { EtcdEndpoints };

/** The options of a store on etcd; times in milliseconds. */
export interface EtcdStorageDeps extends Partial<StorageTimes>, Pick<EtcdClientParts, "members"> {
  readonly endpoints: EtcdEndpoints;
  readonly values: StoredValues;
  readonly clock: Clock;
  readonly logger?: Logger;
  readonly observer?: EtcdObserver;
  /** The time between two compactions; 0 leaves compaction to other servers. */
  readonly compactionIntervalMs?: number;
}

/** A store on etcd, and access to everything in etcd. */
export interface OpenEtcd {
  readonly storage: Storage;
  readonly contents: StoreContents;
}

/** Opens a store. Throws AppError `unreachable`, `io`, or `storage_corrupt` while a restore is not finished. */
export async function openEtcdStorage(deps: EtcdStorageDeps): Promise<OpenEtcd> {
  const { endpoints, values, clock, logger, observer } = deps;
  const { historyMs, eventTtlMs } = { ...DEFAULT_STORAGE_TIMES, ...deps };
  const { compactionIntervalMs = historyMs } = deps;
  if (endpoints.servers.length === 0) throw new AppError("usage", "cannot use etcd: no server is named");
  const client = new EtcdClient(
    endpoints,
    observer === undefined ? undefined : { observer, nowMs: () => clock.elapsedMs() },
    deps,
  );
  try {
    assertReleases(await client.statuses());
    await assertNotRestoring(client, endpoints.prefix);
    const mirror = await EtcdMirror.open({ client, values, clock, logger, observer, historyMs });
    const stopping = new AbortController();
    const compactor = compactionIntervalMs === 0
      ? Promise.resolve()
      : runCompactor({ client, clock, logger, intervalMs: compactionIntervalMs }, stopping.signal);
    const storage = new EtcdStorage({
      name: endpoints.servers.join(","),
      client,
      mirror,
      leases: new EventLeases(client, clock, eventTtlMs),
      clock,
      values,
      async stop() {
        stopping.abort(new Error("storage is closing"));
        await compactor;
      },
    });
    return { storage, contents: createStoreContents(client, values.root) };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** The key that kube-apiserver uses to coordinate compaction. */
const COMPACT_KEY = "compact_rev_key";

/** The dependencies of a compactor; the interval is in milliseconds. */
interface CompactorDeps {
  readonly client: EtcdClient;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly intervalMs: number;
}

/**
 * Every five minutes, compacts the history of etcd that is older than five minutes. All servers of an etcd try this,
 * including kube-apiservers, and the version of one key decides which server does it
 * (`apiserver/pkg/storage/etcd3/compact.go`). Runs until the signal aborts; a failure is logged, and the next interval
 * tries again.
 */
async function runCompactor(
  { client, clock, logger, intervalMs }: CompactorDeps,
  signal: AbortSignal,
): Promise<void> {
  /**
   * The last known version of the key, and etcd's revision at that time, which is compacted after the next interval.
   */
  let seen = { version: 0, revision: 0 };
  while (!signal.aborted) {
    try {
      await clock.sleep(intervalMs, signal);
      seen = await compactOnce(client, seen);
    } catch (error) {
      if (!signal.aborted) logger?.warn("cannot compact etcd", { error: getErrorMessage(error) });
    }
  }
}

async function compactOnce(
  client: EtcdClient,
  { version, revision }: { readonly version: number; readonly revision: number },
): Promise<{ readonly version: number; readonly revision: number }> {
  const answer = await client.write([{
    key: COMPACT_KEY,
    guard: { version },
    value: new TextEncoder().encode(String(revision)),
  }]);
  // Another server has compacted in this interval.
  if (!answer.succeeded) return { version: answer.current[0]?.version ?? 0, revision: answer.revision };
  if (revision > 0) await client.compact(revision);
  return { version: version + 1, revision: answer.revision };
}

export interface EtcdStorageParts {
  readonly name: string;
  readonly client: Pick<EtcdClient, "range" | "write" | "status" | "close">;
  readonly mirror: EtcdMirror;
  readonly leases: EventLeases;
  readonly clock: Pick<Clock, "elapsedMs">;
  readonly values: StoredValues;
  stop(): Promise<void>;
}

/** A revision of etcd, and when it was requested, by the monotonic clock. */
interface RevisionRead {
  readonly revision: number;
  readonly sentAtMs: number;
}

/** Writes with fewer bytes are within every limit and need not be measured. */
const LARGE_BYTES = 1_048_576;
/** How long etcd has to answer a health check, in milliseconds, as in kube-apiserver. */
const HEALTH_TIMEOUT_MS = 2_000;

/** A store that several servers share. */
export class EtcdStorage extends SingleWrites implements Storage {
  readonly sharesRevisions = true;
  readonly #parts: EtcdStorageParts;
  readonly #running = new Set<Promise<unknown>>();
  /** The next read of etcd's revision. Callers that come before it is sent share it. */
  #nextRead: Promise<RevisionRead> | undefined;
  #lastRead: Promise<unknown> = Promise.resolve();
  /** The mirror has every write that was acknowledged before this time, by the monotonic clock. */
  #currentAtMs = -Infinity;
  #disposal: Promise<void> | undefined;
  #closed = false;

  constructor(parts: EtcdStorageParts) {
    super();
    this.#parts = parts;
  }

  get(key: string): Promise<Stored | undefined> {
    return this.#track(async () => {
      await this.#reachCurrent();
      return this.#parts.mirror.engine.get(key);
    });
  }

  getKnown(key: string): Stored | undefined {
    this.#assertOpen();
    return this.#parts.mirror.engine.get(key);
  }

  list(prefix: string, options: StorageListOptions = {}): Promise<StoragePage> {
    return this.#track(async () => {
      if (options.revision === undefined) await this.#reachCurrent();
      return this.#parts.mirror.engine.list(prefix, options);
    });
  }

  transact(writes: readonly Write[]): Promise<readonly StorageEvent[]> {
    return this.#track(async () => {
      assertOneOfEachResource(writes);
      const replaced = await this.#findReplaced(writes);
      if (writes.length === 0) return [];
      const own = writes.map((write) => this.#toOwnWrite(write));
      const forget = this.#parts.mirror.expect(own);
      try {
        const answer = await this.#write(own);
        if (!answer.succeeded) return await this.#refuse(writes, answer);
        const { revision } = answer;
        // Watches get the changes before the write resolves.
        await this.#parts.mirror.take(revision, own);
        return own.map((write, index) => (
          { key: write.key, revision, current: this.#getWritten(write, revision), previous: replaced[index] }
        ));
      } finally {
        forget();
      }
    });
  }

  watch(
    prefix: string,
    afterRevision: number,
    onEvents: WatchListener,
    onLost?: LostListener,
  ): StorageWatch {
    this.#assertOpen();
    const { engine, watchers } = this.#parts.mirror;
    return watchers.add(prefix, afterRevision, engine.eventsSince(afterRevision), onEvents, onLost);
  }

  catchUp(withinMs = 0): Promise<void> {
    return this.#track(async () => {
      if (this.#parts.clock.elapsedMs() - this.#currentAtMs >= withinMs) await this.#reachCurrent();
    });
  }

  revision(): number {
    return this.#parts.mirror.engine.revision;
  }

  async health(): Promise<void> {
    this.#assertOpen();
    const { client, mirror } = this.#parts;
    const abort = new AbortController();
    const late = sleep(HEALTH_TIMEOUT_MS, undefined, { signal: abort.signal }).then(() => {
      throw new AppError("unreachable", `cannot read etcd: no answer within ${HEALTH_TIMEOUT_MS / 1000} s`);
    });
    try {
      const [status] = await Promise.race([Promise.all([client.status(), readCurrentRevision(client)]), late]);
      if (status.errors.some((text) => text.includes("NOSPACE"))) throw fullError();
    } finally {
      abort.abort();
    }
    if (!mirror.isFollowing) throw new AppError("unreachable", "cannot read etcd: its watch is broken");
  }

  /** Finishes the running operations, then closes the connection. A second call does nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    this.#closed = true;
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#parts.stop();
    this.#parts.mirror.close();
    this.#parts.client.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError("aborted", `cannot use storage "${this.#parts.name}": it is closed`);
  }

  /** Resolves when the mirror has every write that was acknowledged before the call. */
  async #reachCurrent(): Promise<void> {
    this.#nextRead ??= this.#readRevision(this.#lastRead);
    const { revision, sentAtMs } = await this.#nextRead;
    await this.#parts.mirror.reach(revision, true);
    this.#currentAtMs = Math.max(this.#currentAtMs, sentAtMs);
  }

  /** Reads etcd's revision, once the earlier read has been answered. */
  async #readRevision(earlier: Promise<unknown>): Promise<RevisionRead> {
    await earlier.catch(() => undefined);
    this.#lastRead = this.#nextRead ?? earlier;
    this.#nextRead = undefined;
    const sentAtMs = this.#parts.clock.elapsedMs();
    return { revision: await readCurrentRevision(this.#parts.client), sentAtMs };
  }

  /** Finds the states that writes replace. Throws the error of the first write whose condition is false. */
  async #findReplaced(writes: readonly Write[]): Promise<readonly (Stored | undefined)[]> {
    const get = (key: string) => this.#parts.mirror.engine.get(key);
    if (findConflict(writes, get) !== undefined) await this.#reachCurrent();
    const conflict = findConflict(writes, get);
    if (conflict !== undefined) throw conflict;
    return writes.map(({ key }) => get(key));
  }

  #toOwnWrite(write: Write): GuardedWrite & SentChange {
    const { key } = write;
    const guard = { modRevision: write.kind === "create" ? 0 : write.expectedRevision };
    if (write.kind === "delete") return { key, guard, value: undefined, object: undefined };
    return { key, guard, value: this.#parts.values.encode(key, write.object), object: write.object };
  }

  async #write(writes: readonly GuardedWrite[]): Promise<TransactionResponse> {
    const { client, leases } = this.#parts;
    if (writes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0) > LARGE_BYTES) assertSendable(writes);
    for (let attempt = 1;; attempt++) {
      let leased: readonly GuardedWrite[] = [];
      try {
        leased = await Promise.all(writes.map((write) => this.#withLease(write)));
        return await client.write(leased);
      } catch (error) {
        const used = leased.flatMap(({ lease }) => lease ?? []);
        if (used.length === 0 || attempt === 2 || !isLeaseGone(error)) throw findWriteRefusal(error) ?? error;
        // Nothing was written: the lease was revoked, or etcd was restored from a backup.
        for (const lease of used) leases.forget(lease);
      }
    }
  }

  async #withLease(write: GuardedWrite): Promise<GuardedWrite> {
    return write.value === undefined ? write : { ...write, lease: await this.#parts.leases.leaseFor(write.key) };
  }

  /**
   * Throws the error of the first write whose condition is false, once the mirror has the states that etcd has
   * compared.
   */
  async #refuse(writes: readonly Write[], { revision }: TransactionResponse): Promise<never> {
    const { mirror } = this.#parts;
    await mirror.reach(revision, true);
    const get = (key: string) => mirror.engine.get(key);
    // The mirror does not have a key that is gone again or cannot be read. If such a key caused the refusal, it refused
    // a creation.
    const { kind, key } = writes.findLast((write) => write.kind === "create") ?? writes[0]!;
    throw findConflict(writes, get) ??
      (kind === "create" ? new AlreadyExistsError(key) : new RevisionConflictError(key, get(key)));
  }

  /** Returns the state after a write; undefined for a deletion. */
  #getWritten({ key, value }: GuardedWrite, revision: number): Stored | undefined {
    if (value === undefined) return undefined;
    const { mirror: { engine }, values } = this.#parts;
    const newest = engine.get(key);
    if (newest?.revision === revision) return newest;
    const event = revision > engine.compactedRevision
      ? engine.eventsSince(revision - 1).find((candidate) => candidate.key === key)
      : undefined;
    if (event?.current !== undefined) return event.current;
    // The mirror was loaded again at a later revision, before which the key was changed again.
    const object = values.decode(key, value);
    if (object === undefined) throw new AppError("internal", `cannot find what was written to "${key}"`);
    return createStored(key, object, revision);
  }

  /** Runs an operation that dispose waits for. */
  async #track<T>(operation: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    const running = operation();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }
}
