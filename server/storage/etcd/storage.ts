/** The Storage port over etcd: writes are etcd transactions, and everything else is served from the mirror. */
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../../core/errors.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { EtcdClient } from "./client.ts";
import { findWriteRefusal, fullError, isLeaseGone } from "./errors.ts";
import type { EventLeases } from "./leases.ts";
import { currentRevision, type EtcdMirror } from "./mirror.ts";
import type { GuardedWrite, GuardedWriteResponse } from "./wire.ts";
import { assertSendable } from "../size_limit.ts";
import type { WatchListener } from "../watchers.ts";
import {
  AlreadyExistsError,
  type CompactedError,
  RevisionConflictError,
  type Storage,
  type StorageListOptions,
  type StoragePage,
  type StorageWatch,
  type Stored,
} from "../storage.ts";
import type { StoredValues } from "./contents.ts";

/** The parts of a store on etcd. */
export interface EtcdStorageParts {
  readonly name: string;
  readonly client: Pick<EtcdClient, "range" | "write" | "status" | "close">;
  readonly mirror: EtcdMirror;
  readonly leases: EventLeases;
  readonly values: StoredValues;
  /** Stops the background tasks of the storage. */
  stop(): Promise<void>;
}

/** Writes with fewer bytes are within every limit and need not be measured. */
const LARGE_BYTES = 1_048_576;
/** How long etcd has to answer a health check, in milliseconds, as in kube-apiserver. */
const HEALTH_TIMEOUT_MS = 2_000;

/** A store that several servers share. */
export class EtcdStorage implements Storage {
  readonly #parts: EtcdStorageParts;
  readonly #running = new Set<Promise<unknown>>();
  /** The next request for etcd's revision, which is not sent yet and which all callers until then share. */
  #nextQuestion: Promise<number> | undefined;
  #question: Promise<unknown> = Promise.resolve();
  #disposal: Promise<void> | undefined;
  #closed = false;

  constructor(parts: EtcdStorageParts) {
    this.#parts = parts;
  }

  get(key: string): Promise<Stored | undefined> {
    return this.#track(async () => {
      await this.#current();
      return this.#parts.mirror.engine.get(key);
    });
  }

  list(prefix: string, options: StorageListOptions = {}): Promise<StoragePage> {
    return this.#track(async () => {
      if (options.revision === undefined) await this.#current();
      return this.#parts.mirror.engine.list(prefix, options);
    });
  }

  create(key: string, object: KubeObject): Promise<Stored> {
    return this.#track(async () => {
      const { succeeded, revision } = await this.#write({
        key,
        guard: { modRevision: 0 },
        value: this.#parts.values.encode(key, object),
      });
      if (!succeeded) throw new AlreadyExistsError(key);
      return this.#written(key, revision);
    });
  }

  update(key: string, object: KubeObject, expectedRevision: number): Promise<Stored> {
    return this.#track(async () => {
      if (expectedRevision <= 0) return this.#conflict(key);
      const { succeeded, revision } = await this.#write({
        key,
        guard: { modRevision: expectedRevision },
        value: this.#parts.values.encode(key, object),
      });
      return succeeded ? this.#written(key, revision) : this.#conflict(key);
    });
  }

  delete(key: string, expectedRevision: number): Promise<{ readonly previous: Stored; readonly revision: number }> {
    const { mirror } = this.#parts;
    return this.#track(async () => {
      if (expectedRevision <= 0) return this.#conflict(key);
      if (mirror.engine.get(key)?.revision !== expectedRevision) await this.#current();
      const previous = mirror.engine.get(key);
      if (previous?.revision !== expectedRevision) return this.#conflict(key);
      const { succeeded, revision } = await this.#write({
        key,
        guard: { modRevision: expectedRevision },
        value: undefined,
      });
      return succeeded ? { previous, revision } : this.#conflict(key);
    });
  }

  watch(
    prefix: string,
    afterRevision: number,
    onEvents: WatchListener,
    onLost?: (error: CompactedError) => void,
  ): StorageWatch {
    this.#assertOpen();
    const { engine, watchers } = this.#parts.mirror;
    return watchers.add(prefix, afterRevision, engine.eventsSince(afterRevision), onEvents, onLost);
  }

  catchUp(): Promise<void> {
    return this.#track(() => this.#current());
  }

  revision(): number {
    return this.#parts.mirror.engine.revision;
  }

  compactedRevision(): number {
    return this.#parts.mirror.engine.compactedRevision;
  }

  async health(): Promise<void> {
    this.#assertOpen();
    const { client, mirror } = this.#parts;
    const abort = new AbortController();
    const late = sleep(HEALTH_TIMEOUT_MS, undefined, { signal: abort.signal }).then(() => {
      throw new AppError("unreachable", `cannot read etcd: no answer within ${HEALTH_TIMEOUT_MS / 1000} s`);
    });
    try {
      const [status] = await Promise.race([Promise.all([client.status(), currentRevision(client)]), late]);
      if (status.errors.some((text) => text.includes("NOSPACE"))) throw fullError();
    } finally {
      abort.abort();
      late.catch(() => undefined);
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
  async #current(): Promise<void> {
    this.#nextQuestion ??= this.#ask(this.#question);
    await this.#parts.mirror.reach(await this.#nextQuestion, true);
  }

  /** Requests etcd's revision after the earlier request has been answered. */
  async #ask(earlier: Promise<unknown>): Promise<number> {
    await earlier.catch(() => undefined);
    this.#question = this.#nextQuestion ?? earlier;
    this.#nextQuestion = undefined;
    return await currentRevision(this.#parts.client);
  }

  /** Writes a key. Watches get the change before the write resolves. */
  async #write(request: GuardedWrite): Promise<{ readonly succeeded: boolean; readonly revision: number }> {
    const { mirror } = this.#parts;
    const { succeeded, revision, current } = await this.#writeWithLease(request);
    await mirror.reach(current?.modRevision ?? revision, !succeeded);
    return { succeeded, revision };
  }

  async #writeWithLease(request: GuardedWrite): Promise<GuardedWriteResponse> {
    const { client, leases } = this.#parts;
    if ((request.value?.length ?? 0) > LARGE_BYTES) assertSendable(request);
    for (let attempt = 1;; attempt++) {
      let lease: bigint | undefined;
      try {
        lease = request.value === undefined ? undefined : await leases.leaseFor(request.key);
        return await client.write(lease === undefined ? request : { ...request, lease });
      } catch (error) {
        if (lease === undefined || attempt === 2 || !isLeaseGone(error)) throw findWriteRefusal(error) ?? error;
        // The lease was revoked, or etcd was restored from a backup: nothing was written.
        leases.forget(lease);
      }
    }
  }

  #written(key: string, revision: number): Stored {
    const { engine } = this.#parts.mirror;
    const newest = engine.get(key);
    if (newest?.revision === revision) return newest;
    const event = engine.eventsSince(revision - 1).find((candidate) => candidate.key === key);
    if (event?.current !== undefined) return event.current;
    throw new AppError("internal", `cannot find what was written to "${key}" at revision ${revision}`);
  }

  #conflict(key: string): never {
    throw new RevisionConflictError(key, this.#parts.mirror.engine.get(key));
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
