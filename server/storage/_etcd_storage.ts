/** The Storage port over etcd: writes are etcd's transactions, everything else is served from the mirror. */
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { EtcdClient } from "./_etcd_client.ts";
import { isFull } from "./_etcd_errors.ts";
import type { EventLeases } from "./_etcd_leases.ts";
import { currentRevision, type EtcdMirror } from "./_etcd_mirror.ts";
import type { GuardedWrite } from "./_etcd_wire.ts";
import type { Listener } from "./_watchers.ts";
import {
  AlreadyExistsError,
  type CompactedError,
  RevisionConflictError,
  type Storage,
  type StorageListOptions,
  type StoragePage,
  type StorageWatch,
  type Stored,
} from "./storage.ts";
import type { StoredValues } from "./stored_values.ts";

/** What a store is made of. */
export interface EtcdStorageParts {
  readonly name: string;
  readonly client: EtcdClient;
  readonly mirror: EtcdMirror;
  readonly leases: EventLeases;
  readonly values: StoredValues;
  /** Stops what runs beside. */
  stop(): Promise<void>;
}

/** How long etcd has to answer a health check, in milliseconds; kube-apiserver's time. */
const HEALTH_TIMEOUT_MS = 2_000;

/** A store that several servers share. */
export class EtcdStorage implements Storage {
  readonly #parts: EtcdStorageParts;
  readonly #running = new Set<Promise<unknown>>();
  /** The question how far etcd is that has not been sent yet; whoever asks meanwhile shares it. */
  #nextCatchUp: Promise<void> | undefined;
  #catchUp: Promise<void> = Promise.resolve();
  #full: unknown;
  #disposal: Promise<void> | undefined;
  #closed = false;

  constructor(parts: EtcdStorageParts) {
    this.#parts = parts;
  }

  async get(key: string): Promise<Stored | undefined> {
    this.#assertOpen();
    await this.#current();
    return this.#parts.mirror.engine.get(key);
  }

  async list(prefix: string, options: StorageListOptions = {}): Promise<StoragePage> {
    this.#assertOpen();
    if (options.revision === undefined) await this.#current();
    return this.#parts.mirror.engine.list(prefix, options);
  }

  async create(key: string, object: KubeObject): Promise<Stored> {
    this.#assertOpen();
    const { succeeded, revision } = await this.#write({
      key,
      guard: { modRevision: 0 },
      value: this.#parts.values.encode(key, object),
    });
    if (!succeeded) throw new AlreadyExistsError(key);
    return this.#written(key, revision);
  }

  async update(key: string, object: KubeObject, expectedRevision: number): Promise<Stored> {
    this.#assertOpen();
    if (expectedRevision <= 0) return this.#conflict(key);
    const { succeeded, revision } = await this.#write({
      key,
      guard: { modRevision: expectedRevision },
      value: this.#parts.values.encode(key, object),
    });
    return succeeded ? this.#written(key, revision) : await this.#conflict(key);
  }

  async delete(
    key: string,
    expectedRevision: number,
  ): Promise<{ readonly previous: Stored; readonly revision: number }> {
    this.#assertOpen();
    const { mirror } = this.#parts;
    if (expectedRevision <= 0) return this.#conflict(key);
    if (mirror.engine.get(key)?.revision !== expectedRevision) await this.#current();
    const previous = mirror.engine.get(key);
    if (previous?.revision !== expectedRevision) return this.#conflict(key);
    const { succeeded, revision } = await this.#write({
      key,
      guard: { modRevision: expectedRevision },
      value: undefined,
    });
    return succeeded ? { previous, revision } : await this.#conflict(key);
  }

  watch(
    prefix: string,
    afterRevision: number,
    onEvents: Listener,
    onLost?: (error: CompactedError) => void,
  ): StorageWatch {
    this.#assertOpen();
    const { engine, watchers } = this.#parts.mirror;
    return watchers.add(prefix, afterRevision, engine.eventsSince(afterRevision), onEvents, onLost);
  }

  async catchUp(): Promise<void> {
    this.#assertOpen();
    await this.#current();
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
      await Promise.race([currentRevision(client), late]);
    } finally {
      abort.abort();
      late.catch(() => undefined);
    }
    if (this.#full !== undefined) throw this.#full;
    if (!mirror.isFollowing) throw new AppError("unreachable", "cannot read etcd: its watch is broken");
  }

  /** Finishes the writes that were asked for, then lets go of etcd. A second call does nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
    await this.#parts.stop();
    this.#parts.mirror.close();
    this.#parts.client.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError("aborted", `cannot use storage "${this.#parts.name}": it is closed`);
  }

  /** Resolves when the mirror has everything that was acknowledged before the call. */
  #current(): Promise<void> {
    return this.#nextCatchUp ??= this.#track(
      this.#catchUp.catch(() => undefined).then(() => {
        this.#nextCatchUp = undefined;
        return this.#catchUp = this.#parts.mirror.catchUp();
      }),
    );
  }

  #write(request: GuardedWrite): Promise<{ readonly succeeded: boolean; readonly revision: number }> {
    return this.#track(this.#writeAndSee(request));
  }

  /** Watches have been told of a write before its caller is. */
  async #writeAndSee(request: GuardedWrite): Promise<{ readonly succeeded: boolean; readonly revision: number }> {
    const { client, leases, mirror } = this.#parts;
    const lease = request.value === undefined ? undefined : await leases.leaseFor(request.key);
    const { succeeded, revision, current } = await this.#noteRoom(client.write({
      ...request,
      ...(lease === undefined ? {} : { lease }),
    }));
    if (succeeded) await mirror.reach(revision, false);
    else if (current !== undefined) await mirror.reach(current.modRevision, true);
    else await mirror.reach(revision, true);
    return { succeeded, revision };
  }

  /** Remembers that etcd is full, until it takes something. */
  async #noteRoom<T>(writing: Promise<T>): Promise<T> {
    try {
      const answer = await writing;
      this.#full = undefined;
      return answer;
    } catch (error) {
      if (isFull(error)) this.#full = error;
      throw error;
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

  async #conflict(key: string): Promise<never> {
    throw new RevisionConflictError(key, this.#parts.mirror.engine.get(key));
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    const tracked = promise.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }
}
