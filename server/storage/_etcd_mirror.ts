/**
 * What etcd holds below our keys, kept in memory by one watch: reads, lists of past revisions and watches are served
 * from here, as kube-apiserver does from its watch cache. The history reaches back as far as etcd's own, also after a
 * start.
 */
import { clearTimeout, setTimeout } from "node:timers";
import { AppError, messageOf } from "../../core/errors.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { Engine } from "./_engine.ts";
import type { EtcdClient, EtcdWatch } from "./_etcd_client.ts";
import type { EtcdEvent, EtcdKeyValue, WatchResponse } from "./_etcd_wire.ts";
import type { LoggedEvent } from "./_history.ts";
import type { EtcdObserver } from "./observed_etcd.ts";
import { createSteadyNow } from "./_steady_now.ts";
import { createStored, releaseObject } from "./_stored.ts";
import { Watchers } from "./_watchers.ts";
import { CompactedError, type StorageEvent, type Stored } from "./storage.ts";
import type { StoredValues } from "./stored_values.ts";

/** What a mirror is made of. */
export interface MirrorDeps {
  readonly client: EtcdClient;
  readonly values: StoredValues;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly observer?: EtcdObserver | undefined;
  /** How long every change stays known, in milliseconds. */
  readonly historyMs: number;
}

/** How many keys one read of the first state takes. */
const PAGE = 1_000;
/** Between two attempts to follow again, in milliseconds. */
const REFOLLOW_MS = 200;
/** Between two questions how far etcd is while somebody waits to know. */
const PROGRESS_MS = 50;
/** How long somebody waits for the mirror to reach a revision. */
const REACH_TIMEOUT_MS = 10_000;
/** Attempts to load while etcd forgets what is being read. */
const LOAD_ATTEMPTS = 5;
/** As in the journal of a file: so many changes more than a response brings are forgotten with it. */
const EXTRA_FORGOTTEN = 200;

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The state of an etcd in memory. */
export class EtcdMirror {
  readonly #deps: MirrorDeps;
  readonly watchers: Watchers;
  readonly #now: () => number;
  #engine: Engine;
  #watch: EtcdWatch | undefined;
  #isFollowing = false;
  #waiters: Waiter[] = [];
  #progressTimer: ReturnType<typeof setTimeout> | undefined;
  #refollowTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  private constructor(deps: MirrorDeps, engine: Engine) {
    this.#deps = deps;
    this.#now = createSteadyNow(deps.clock);
    this.#engine = engine;
    this.watchers = new Watchers(deps.logger);
  }

  /** Reads everything, and follows from there. */
  static async open(deps: MirrorDeps): Promise<EtcdMirror> {
    const mirror = new EtcdMirror(deps, await load(deps));
    mirror.#follow();
    await mirror.catchUp();
    return mirror;
  }

  /** The state as far as it is known. */
  get engine(): Engine {
    return this.#engine;
  }

  /** Whether etcd tells its changes at this moment. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /** Resolves when everything is known that was acknowledged by anybody before the call. */
  async catchUp(): Promise<void> {
    await this.reach(await currentRevision(this.#deps.client), true);
  }

  /**
   * Resolves when everything up to a revision is known. `ask` tells that it may be the revision of a change that is not
   * ours, which only etcd's progress tells of. Throws AppError `unreachable`.
   */
  reach(revision: number, ask: boolean): Promise<void> {
    const { clock, observer } = this.#deps;
    if (this.#engine.revision >= revision) {
      observer?.caughtUp(0);
      return Promise.resolve();
    }
    const startedAt = clock.elapsedMs();
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((waiter) => waiter.timer !== timer);
        reject(behindError(revision, this.#engine.revision));
      }, REACH_TIMEOUT_MS);
      this.#waiters.push({ revision, resolve, reject, timer });
      if (ask) this.#askProgress();
    }).then(() => observer?.caughtUp((clock.elapsedMs() - startedAt) / 1000));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#progressTimer);
    clearTimeout(this.#refollowTimer);
    this.#watch?.stop();
    this.watchers.stopAll();
    for (const { timer, reject } of this.#waiters) {
      clearTimeout(timer);
      reject(new AppError("aborted", "cannot read etcd: the storage is closed"));
    }
    this.#waiters = [];
  }

  #follow(): void {
    const { client, values, logger } = this.#deps;
    this.#watch = client.watch(
      values.root,
      this.#engine.revision + 1,
      (response) => this.#take(response),
      (error) => {
        if (this.#closed) return;
        if (this.#isFollowing && error !== undefined) logger?.warn("etcd watch broke", { error: messageOf(error) });
        if (this.#isFollowing) this.#deps.observer?.watchBroke();
        this.#isFollowing = false;
        this.#refollowTimer = setTimeout(() => this.#follow(), REFOLLOW_MS);
      },
    );
  }

  #take(response: WatchResponse): void {
    if (this.#closed) return;
    if (response.compactRevision > 0) return void this.#reload(response.compactRevision);
    if (response.canceled) return this.#watch?.stop();
    if (response.created && !this.#isFollowing) {
      this.#isFollowing = true;
      this.#deps.logger?.debug("etcd watch started", { revision: this.#engine.revision + 1 });
    }
    if (response.events.length > 0) this.#apply(response.events);
    else if (!response.created) this.#engine.advance(response.revision);
    this.#wake();
    if (response.created && this.#waiters.length > 0) this.#askProgress();
  }

  #apply(changes: readonly EtcdEvent[]): void {
    const now = this.#now();
    // One after another: a message may hold several changes of one key.
    const told: StorageEvent[] = [];
    for (const change of changes) {
      const event = toEvent(this.#deps, change, this.#engine.get(change.kv.key));
      if (event === undefined) {
        this.#engine.advance(change.kv.modRevision);
        continue;
      }
      this.#engine.apply([{ event, at: now } satisfies LoggedEvent], undefined);
      told.push(event);
    }
    const compaction = this.#engine.planCompaction(now - this.#deps.historyMs, changes.length + EXTRA_FORGOTTEN);
    if (compaction !== undefined) this.#engine.apply([], compaction);
    this.watchers.notify(told);
    for (const { previous } of told) releaseObject(previous);
  }

  /** Etcd has forgotten changes that we have not heard of: everything is read again, and watches end. */
  async #reload(compactRevision: number): Promise<void> {
    const { logger } = this.#deps;
    logger?.warn("etcd has compacted changes that were not seen; reading everything again", {
      seen: this.#engine.revision,
      compacted: compactRevision,
    });
    const seen = this.#engine.revision;
    try {
      this.#engine = await load(this.#deps);
    } catch (error) {
      logger?.error("cannot read etcd again", { error: messageOf(error) });
    }
    this.watchers.loseAll(new CompactedError(seen, compactRevision));
    this.#watch?.stop();
  }

  #wake(): void {
    const revision = this.#engine.revision;
    if (this.#waiters.length === 0 || this.#waiters.every((waiter) => waiter.revision > revision)) return;
    const ready = this.#waiters.filter((waiter) => waiter.revision <= revision);
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > revision);
    for (const { timer, resolve } of ready) {
      clearTimeout(timer);
      resolve();
    }
  }

  /** Asks now and, while somebody waits, again and again: etcd does not answer while a watch is behind. */
  #askProgress(): void {
    if (this.#isFollowing) this.#watch?.requestProgress();
    this.#progressTimer ??= setTimeout(() => {
      this.#progressTimer = undefined;
      if (this.#waiters.length > 0 && !this.#closed) this.#askProgress();
    }, PROGRESS_MS);
  }
}

/** The revision of the whole etcd, as a majority of its members knows it. */
export async function currentRevision(client: EtcdClient): Promise<number> {
  return (await client.range({ key: "compact_rev_key", countOnly: true })).revision;
}

/** The state at the oldest revision that etcd still knows; the changes after it come by the watch. */
async function load(deps: MirrorDeps): Promise<Engine> {
  for (let attempt = 1;; attempt++) {
    const revision = await oldestRevision(deps);
    try {
      const base = revision === 0 ? [] : await readAll(deps, revision);
      return new Engine({ revision: Math.max(1, revision), compactedRevision: revision, base, changes: [] });
    } catch (error) {
      if (attempt === LOAD_ATTEMPTS || !isCompacted(error)) throw error;
    }
  }
}

/** What etcd has compacted up to; 0 when it has forgotten nothing. */
async function oldestRevision({ client, values }: MirrorDeps): Promise<number> {
  try {
    await client.range({ key: values.root, revision: 1, countOnly: true });
    return 0;
  } catch (error) {
    if (!isCompacted(error)) throw error;
  }
  // Only a watch that comes too late is told how late it is.
  return await new Promise((resolve, reject) => {
    const watch = client.watch(
      values.root,
      1,
      ({ compactRevision }) => {
        if (compactRevision === 0) return;
        resolve(compactRevision);
        watch.stop();
      },
      (error) => reject(error ?? new AppError("unreachable", "cannot read etcd: the watch ended")),
    );
  });
}

async function readAll({ client, values }: MirrorDeps, revision: number): Promise<Stored[]> {
  const all: Stored[] = [];
  for (const prefix of values.prefixes) {
    let key = prefix;
    while (true) {
      const page = await client.range({ key, below: prefix, limit: PAGE, revision });
      for (const kv of page.kvs) {
        const stored = toStored(values, kv);
        if (stored !== undefined) all.push(stored);
      }
      if (!page.more) break;
      key = `${page.kvs.at(-1)!.key}\u0000`;
    }
  }
  return all;
}

function toEvent(
  { values, logger }: MirrorDeps,
  { isDeletion, kv }: EtcdEvent,
  previous: Stored | undefined,
): StorageEvent | undefined {
  const { key, modRevision: revision } = kv;
  const past = previous === undefined ? {} : { previous };
  if (isDeletion) return previous === undefined ? undefined : { key, revision, ...past };
  try {
    const current = toStored(values, kv);
    return current === undefined ? undefined : { key, revision, current, ...past };
  } catch (error) {
    logger?.error("cannot read a value of etcd; it is not served", { key, error: messageOf(error) });
    return previous === undefined ? undefined : { key, revision, ...past };
  }
}

function toStored(values: StoredValues, { key, modRevision, value }: EtcdKeyValue): Stored | undefined {
  const object = values.decode(key, value);
  return object === undefined ? undefined : createStored(key, object, modRevision);
}

function isCompacted(error: unknown): boolean {
  return messageOf(error).includes("required revision has been compacted");
}

function behindError(revision: number, reached: number): AppError {
  return new AppError("unreachable", `cannot read etcd: its watch is at revision ${reached}, before ${revision}`, {
    hint: "check that a majority of etcd's members is up; nothing stored is lost",
    retryable: true,
  });
}
