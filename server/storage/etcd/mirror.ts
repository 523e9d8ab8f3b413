/**
 * A copy in memory of the keys below our prefix in etcd, kept up to date by one watch. It serves reads, lists of past
 * revisions and watches, as kube-apiserver does from its watch cache. The history reaches back as far as etcd's own,
 * even after a restart.
 */
import { Buffer } from "node:buffer";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import { Engine, findFirstIndex, type LoggedEvent } from "../memory/engine.ts";
import type { EtcdClient, EtcdObserver, EtcdWatch } from "./client.ts";
import { retryCompacted } from "./errors.ts";
import type { EtcdEvent, EtcdKeyValue, WatchResponse } from "./wire.ts";
import { readValue, releaseObject } from "../stored.ts";
import { Watchers } from "../follow.ts";
import { type After, CompactedError, createSteadyNow, runAfter, type StorageEvent, type Stored } from "../storage.ts";
import type { StoredValues } from "./contents.ts";

export type MirrorClient = Pick<EtcdClient, "range" | "watch" | "compactedRevision">;

export interface MirrorDeps {
  readonly client: MirrorClient;
  readonly values: StoredValues;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly observer?: EtcdObserver | undefined;
  /** How long changes stay in the history, in milliseconds. */
  readonly historyMs: number;
  readonly after?: After;
}

/** The number of keys that one read of the initial state returns. */
const PAGE = 1_000;
/** The pause before the first attempt to watch again, in milliseconds; it doubles for each further attempt. */
const REFOLLOW_MS = 200;
/** The longest pause before an attempt to watch again, in milliseconds. */
const MAX_REFOLLOW_MS = 2_000;
/** The pause between two progress requests while a caller waits for a revision, in milliseconds. */
const PROGRESS_MS = 50;
/** How long a caller waits for the mirror to reach a revision, in milliseconds. */
const REACH_TIMEOUT_MS = 10_000;
/** How many more changes are dropped from the history than a response contains, as in the journaled storage. */
const EXTRA_FORGOTTEN = 200;

/**
 * A change that this server makes: its value, and the object from which the value was encoded. Both are undefined for a
 * deletion.
 */
export interface SentChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly object: KubeObject | undefined;
}

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly cancelTimer: () => void;
}

/** A copy of an etcd's state in memory. */
export class EtcdMirror {
  readonly #deps: MirrorDeps;
  readonly watchers: Watchers;
  readonly #now: () => number;
  #engine: Engine;
  #watch: EtcdWatch | undefined;
  #isFollowing = false;
  /** True while everything is being read again, without a watch. */
  #isReloading = false;
  /** Callers that wait for a revision, the lowest one first. */
  readonly #waiters: Waiter[] = [];
  /** The running writes of this server, by key. */
  readonly #written = new Map<string, SentChange>();
  /** Transactions of this server that etcd has committed but the watch has not delivered, by revision. */
  readonly #committed = new Map<number, readonly EtcdEvent[]>();
  readonly #after: After;
  #cancelProgress: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #retryMs = REFOLLOW_MS;
  /** The last reported reason why etcd cannot be watched. */
  #lastFault = "";
  #closed = false;

  private constructor(deps: MirrorDeps, engine: Engine) {
    this.#deps = deps;
    this.#after = deps.after ?? runAfter;
    this.#now = createSteadyNow(deps.clock);
    this.#engine = engine;
    this.watchers = new Watchers(deps.logger);
  }

  /** Reads everything and watches from there. */
  static async open(deps: MirrorDeps): Promise<EtcdMirror> {
    const mirror = new EtcdMirror(deps, await load(deps));
    try {
      mirror.#follow();
      await mirror.catchUp();
      return mirror;
    } catch (error) {
      mirror.close();
      throw error;
    }
  }

  /** The state as of the last change received. */
  get engine(): Engine {
    return this.#engine;
  }

  /** Whether the watch on etcd is currently established. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /** Resolves when the mirror has every write that any server acknowledged before the call. */
  async catchUp(): Promise<void> {
    await this.reach(await readCurrentRevision(this.#deps.client), true);
  }

  /**
   * Resolves when the mirror has everything up to a revision. With `requestsProgress`, it requests progress from etcd,
   * because the revision may belong to a key outside of our prefix. Throws AppError `unreachable` after a timeout, and
   * then watches another member.
   */
  reach(revision: number, requestsProgress: boolean): Promise<void> {
    const { clock, observer } = this.#deps;
    if (this.#engine.revision >= revision) {
      observer?.caughtUp(0);
      return Promise.resolve();
    }
    const startedAt = clock.elapsedMs();
    const watch = this.#watch;
    return new Promise<void>((resolve, reject) => {
      const cancelTimer = this.#after(REACH_TIMEOUT_MS, () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        const error = behindError(revision, this.#engine.revision);
        reject(error);
        watch?.stop(error);
      });
      const waiter: Waiter = { revision, resolve, reject, cancelTimer };
      this.#waiters.splice(this.#countReached(revision), 0, waiter);
      if (requestsProgress) this.#requestProgress();
    }).then(() => observer?.caughtUp((clock.elapsedMs() - startedAt) / 1000));
  }

  /** Registers changes that are about to be made, which need not be decoded. Call the returned function afterwards. */
  expect(written: readonly SentChange[]): () => void {
    for (const change of written) this.#written.set(change.key, change);
    return () => {
      for (const change of written) if (this.#written.get(change.key) === change) this.#written.delete(change.key);
    };
  }

  /**
   * Applies a transaction of this server that etcd has committed, and resolves when the mirror has it: at once if the
   * mirror is at the previous revision. It also resolves after a timeout, because etcd has the changes.
   */
  async take(revision: number, own: readonly SentChange[]): Promise<void> {
    if (this.#engine.revision < revision) {
      this.#committed.set(
        revision,
        own.map(({ key, value }) => ({
          isDeletion: value === undefined,
          kv: { key, modRevision: revision, version: 0, value: value ?? new Uint8Array() },
        })),
      );
      this.#wake();
    }
    await this.reach(revision, false).catch(() => undefined);
    this.#committed.delete(revision);
  }

  close(): void {
    this.#closed = true;
    this.#cancelProgress?.();
    this.#cancelRetry?.();
    this.#watch?.stop();
    this.watchers.stopAll();
    for (const { cancelTimer, reject } of this.#waiters.splice(0)) {
      cancelTimer();
      reject(new AppError("aborted", "cannot read etcd: the storage is closed"));
    }
  }

  #follow(): void {
    const { client, values } = this.#deps;
    this.#watch = client.watch(
      values.root,
      this.#engine.revision + 1,
      (response) => this.#receive(response),
      (error) => this.#endWatch(error),
    );
  }

  #endWatch(error: unknown): void {
    const wasFollowing = this.#isFollowing;
    this.#isFollowing = false;
    if (this.#closed || this.#isReloading) return;
    const fault = error === undefined ? "" : getErrorMessage(error);
    if (fault !== "" && (wasFollowing || fault !== this.#lastFault)) {
      this.#deps.logger?.warn("etcd watch broke", { error: fault });
    }
    this.#lastFault = fault;
    if (wasFollowing) this.#deps.observer?.watchBroke();
    this.#retry(() => this.#follow());
  }

  /** Runs a function after a pause that doubles with each failure. */
  #retry(run: () => void): void {
    this.#cancelRetry = this.#after(this.#retryMs, () => void (this.#closed || run()));
    this.#retryMs = Math.min(MAX_REFOLLOW_MS, this.#retryMs * 2);
  }

  #receive(response: WatchResponse): void {
    if (this.#closed || this.#isReloading) return;
    // The writes of this server since the watch began may have filled the gap. They must include the compacted revision
    // itself: etcd before 3.5.16 forgets a deletion at it (https://github.com/etcd-io/etcd/issues/18089).
    if (response.compactRevision > this.#engine.revision) return this.#startReload(response.compactRevision);
    if (response.canceled) {
      return this.#watch?.stop(new Error(response.cancelReason || "etcd cancelled the watch"));
    }
    if (response.created && !this.#isFollowing) {
      this.#isFollowing = true;
      this.#deps.logger?.debug("etcd watch started", { revision: this.#engine.revision + 1 });
    }
    if (!response.created) this.#retryMs = REFOLLOW_MS;
    if (response.events.length > 0) this.#apply(response.events);
    else if (!response.created) this.#engine.advance(response.revision);
    this.#wake();
    if (response.created && this.#waiters.length > 0) this.#requestProgress();
  }

  #apply(changes: readonly EtcdEvent[]): void {
    const now = this.#now();
    // Changes are applied one after another, because a message may hold several changes of one key.
    const applied: StorageEvent[] = [];
    const seen = this.#engine.revision;
    for (const change of changes) {
      const { kv: { key, modRevision } } = change;
      // A message has all changes of its revisions, so earlier revisions have been applied already.
      if (modRevision <= seen) continue;
      const previous = this.#engine.get(key);
      const current = change.isDeletion ? undefined : toStored(this.#deps, change.kv, this.#written.get(key));
      if (current === undefined && previous === undefined) {
        this.#engine.advance(modRevision);
        continue;
      }
      const event: StorageEvent = { key, revision: modRevision, current, previous };
      this.#engine.apply([{ event, at: now } satisfies LoggedEvent], undefined);
      applied.push(event);
    }
    this.#engine.apply([], this.#engine.planCompaction(now - this.#deps.historyMs, changes.length + EXTRA_FORGOTTEN));
    this.watchers.notify(applied);
    for (const { previous } of applied) releaseObject(previous);
  }

  /** Reads everything again and ends all watches, because etcd has compacted changes that were not received. */
  #startReload(compactRevision: number): void {
    this.#isReloading = true;
    this.#watch?.stop();
    this.#deps.logger?.warn("etcd has compacted changes that were not seen; reading everything again", {
      seen: this.#engine.revision,
      compacted: compactRevision,
    });
    void this.#reload(compactRevision);
  }

  /** Reads everything again. Until that succeeds, the old state is served and watches stay open. */
  async #reload(compactRevision: number): Promise<void> {
    let engine: Engine;
    try {
      engine = await load(this.#deps);
    } catch (error) {
      if (this.#closed) return;
      this.#deps.logger?.error("cannot read etcd again", { error: getErrorMessage(error) });
      return this.#retry(() => void this.#reload(compactRevision));
    }
    if (this.#closed) return;
    const seen = this.#engine.revision;
    this.#engine = engine;
    this.#isReloading = false;
    this.watchers.loseAll(new CompactedError(seen, compactRevision));
    this.#wake();
    this.#follow();
  }

  /**
   * Applies this server's transactions that come next, and wakes the callers that wait for the revision now reached.
   */
  #wake(): void {
    while (!this.#isReloading) {
      const next = this.#committed.get(this.#engine.revision + 1);
      if (next === undefined) break;
      this.#apply(next);
    }
    for (const { cancelTimer, resolve } of this.#waiters.splice(0, this.#countReached(this.#engine.revision))) {
      cancelTimer();
      resolve();
    }
  }

  /** Counts the callers that wait for a revision or an earlier one. */
  #countReached(revision: number): number {
    return findFirstIndex(this.#waiters, (waiter) => waiter.revision > revision, 0);
  }

  /** Requests progress now and repeatedly while a caller waits, because etcd does not answer while a watch is behind. */
  #requestProgress(): void {
    if (this.#isFollowing) this.#watch?.requestProgress();
    this.#cancelProgress ??= this.#after(PROGRESS_MS, () => {
      this.#cancelProgress = undefined;
      if (this.#waiters.length > 0 && !this.#closed) this.#requestProgress();
    });
  }
}

/** Reads the current revision of etcd, which a majority of its members confirms. */
export async function readCurrentRevision(client: Pick<EtcdClient, "range">): Promise<number> {
  return (await client.range({ key: "compact_rev_key", countOnly: true })).revision;
}

/** Loads the state at the oldest revision that etcd still has; the watch delivers the changes after it. */
async function load(deps: MirrorDeps): Promise<Engine> {
  return await retryCompacted(async () => {
    const revision = await deps.client.compactedRevision(deps.values.root);
    const base = revision === 0 ? [] : await readAll(deps, revision);
    return new Engine({ revision: Math.max(1, revision), compactedRevision: revision, base, changes: [] });
  });
}

async function readAll(deps: MirrorDeps, revision: number): Promise<Stored[]> {
  const { client, values } = deps;
  const all: Stored[] = [];
  for (const prefix of values.prefixes) {
    let key = prefix;
    while (true) {
      const page = await client.range({ key, below: prefix, limit: PAGE, revision });
      for (const kv of page.kvs) {
        const stored = toStored(deps, kv);
        if (stored !== undefined) all.push(stored);
      }
      if (!page.more) break;
      key = `${page.kvs.at(-1)!.key}\u0000`;
    }
  }
  return all;
}

/**
 * Decodes a value; undefined for an unserved key, and for an unreadable value, because one value must not stop the
 * server. A value that this server wrote need not be decoded, unless decoding would give a different object.
 */
function toStored(
  { values, logger }: MirrorDeps,
  { key, modRevision, value }: EtcdKeyValue,
  { value: sent, object: known }: Partial<SentChange> = {},
): Stored | undefined {
  try {
    if (sent && known && Buffer.compare(sent, value) === 0 && values.isDecoded(key, known)) {
      return readValue(key, modRevision, sent, values.decode, known);
    }
    const object = values.decode(key, value);
    // A copy, because the value may share its buffer with a thousand others of the same message.
    return object === undefined ? undefined : readValue(key, modRevision, new Uint8Array(value), values.decode, object);
  } catch (error) {
    logger?.error("cannot read a value of etcd; it is not served", { key, error: getErrorMessage(error) });
    return undefined;
  }
}

function behindError(revision: number, reached: number): AppError {
  return new AppError("unreachable", `cannot read etcd: its watch is at revision ${reached}, before ${revision}`, {
    hint: "check that a majority of etcd's members is up; nothing stored is lost",
    retryable: true,
  });
}
