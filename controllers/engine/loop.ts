/**
 * The loop that every controller runs in: watch → cache → queue → reconcile. It is level-based: a reconciler gets a
 * name and the cached object, decides, writes once guarded by resourceVersion, and returns an outcome. Names wait in a
 * queue. The wait grows with each failure.
 */
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { Clock, Logger, ObjectChange, ObjectChanges, QueueObserver, Random } from "../../core/ports.ts";
import { createChildAbort, createWaitQueue, orAbort } from "../../core/lib/waiting.ts";
import { createTokenBuckets } from "../../core/lib/bounded.ts";

/** The result of one reconciliation of a name. */
export type Outcome =
  | { readonly kind: "done" }
  /** It succeeded; reconcile again after this long. */
  | { readonly kind: "requeueAfter"; readonly ms: number }
  /** Try again with back-off; `quiet` keeps the failure out of the error log. */
  | { readonly kind: "retry"; readonly error: unknown; readonly quiet?: boolean }
  /** It failed; try again only when the object has changed. */
  | { readonly kind: "terminal"; readonly error: unknown };

/** The outcome of a reconciliation that needs nothing more. */
export const DONE: Outcome = { kind: "done" };

export function retry(message: string): Outcome {
  return { kind: "retry", error: new Error(message) };
}

/**
 * Reconciles one object. `name` is its key where the reconciler has `getKey`; `object` is undefined when there is none.
 */
export type Reconcile<T extends KubeObject> = (
  name: string,
  object: T | undefined,
  signal: AbortSignal,
) => Promise<Outcome>;

/** Watches other objects whose changes require a name to be reconciled. */
export interface Trigger extends ObjectChanges<KubeObject> {
  /** Returns the name to reconcile, or several. `all` has the names of all objects that the controller reconciles. */
  nameFor(object: KubeObject, all: ReadonlySet<string>): string | readonly string[];
}

/** A trigger that is fired by code, not by changes of objects. */
interface ManualTrigger extends Trigger {
  fire(names: readonly string[]): void;
}

/** Creates a trigger; names fired before the loop listens are kept. */
export function createManualTrigger(): ManualTrigger {
  const pending: string[] = [];
  let wake = Promise.withResolvers<void>();
  return {
    fire(names) {
      pending.push(...names);
      if (names.length > 0) wake.resolve();
    },
    nameFor: ({ metadata }) => metadata.name ?? "",
    async *changes(signal): AsyncIterable<ObjectChange<KubeObject>> {
      while (true) {
        await orAbort(wake.promise, signal);
        wake = Promise.withResolvers<void>();
        for (const name of pending.splice(0)) yield { kind: "changed", object: { metadata: { name } } };
      }
    },
  };
}

/** Selects, identifies and reconciles the objects of one controller. */
export interface Reconciler<T extends KubeObject> {
  readonly reconcile: Reconcile<T>;
  /**
   * Selects the objects that are reconciled; every object when absent. Other names are only reconciled when they are
   * already queued. A deleted object is reconciled if it was selected before.
   */
  readonly concerns?: (object: T) => boolean;
  /** Returns the key that identifies an object in the cache and the queue; its name by default. */
  readonly getKey?: (object: KubeObject) => string;
}

/** The options that a controller runs with. */
export interface ControllerOptions<T extends KubeObject> extends Reconciler<T> {
  /** The name of the controller, added to every log line. */
  readonly name: string;
  readonly store: ObjectChanges<T>;
  readonly triggers?: readonly Trigger[];
  /** How many names are reconciled at once; 5 by default, as upstream. */
  readonly workers?: number;
  /** Every name is reconciled again after one to two times this period; 12 hours by default, as upstream. */
  readonly resyncMs?: number;
  /** Observes the queue, for metrics. */
  readonly metrics?: ControllerObserver;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Provides an observer for each controller's queue. */
export interface ControllerObserver {
  queue(controller: string): QueueObserver;
}

const WORKERS = 5;
const RESYNC_MS = 12 * 3_600_000;

/** Runs a controller until the signal aborts, then waits for its workers and resolves. Nothing else ends it. */
export async function runController<T extends KubeObject>(
  options: ControllerOptions<T>,
  parent: AbortSignal,
): Promise<void> {
  using life = createChildAbort(parent);
  const { triggers = [], workers = WORKERS } = options;
  const logger = options.logger.with({ controller: options.name });
  const controller = new Controller({ ...options, logger }, life.signal);
  logger.debug("controller started", { workers });
  const tasks = [
    controller.followObjects(),
    ...triggers.map((trigger) => controller.followTrigger(trigger)),
    controller.runDelays(),
    controller.resync(),
    ...Array.from({ length: workers }, () => controller.work()),
  ];
  // Tasks end only when the signal aborts. A bug in one must stop the others, and its error must not be lost.
  await Promise.all(tasks.map((task) => task.catch((error: unknown) => life.abort(error))));
  if (!parent.aborted) throw life.signal.reason;
  logger.debug("controller stopped");
}

/** A running controller: the cache of its objects, the queue of names, and the tasks between them. */
class Controller<T extends KubeObject> {
  readonly #options: ControllerOptions<T>;
  readonly #signal: AbortSignal;
  readonly #queue: WorkQueue;
  readonly #cache = new Map<string, { readonly object: T }>();
  /** The names in the cache whose objects are reconciled. */
  readonly #concerned = new Set<string>();
  readonly #synced = Promise.withResolvers<void>();

  constructor(options: ControllerOptions<T>, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#queue = createWorkQueue(options.clock, options.metrics?.queue(options.name));
  }

  /** Keeps the cache up to date, and queues each changed object. */
  followObjects(): Promise<never> {
    return this.#follow((signal) => this.#options.store.changes(signal), () => {
      // A watch that starts again reports the existing objects, but not those deleted in between.
      const missing = new Set(this.#cache.keys());
      return (change) => this.#apply(change, missing);
    });
  }

  /** Queues the names to reconcile after a change of another object. */
  followTrigger(trigger: Trigger): Promise<never> {
    return this.#follow((signal) => trigger.changes(signal), () => (change) => {
      if (change.kind === "synced") return;
      for (const name of [trigger.nameFor(change.object, this.#concerned)].flat()) this.#queue.add(name);
    });
  }

  runDelays(): Promise<void> {
    return this.#queue.runDelays(this.#signal);
  }

  async resync(): Promise<never> {
    const { resyncMs = RESYNC_MS, random } = this.#options;
    while (true) {
      await this.#sleep(resyncMs * (1 + random.float()));
      for (const name of this.#concerned) this.#queue.add(name);
    }
  }

  /** Reconciles one name after another, once all objects are in the cache. */
  async work(): Promise<never> {
    await orAbort(this.#synced.promise, this.#signal);
    while (true) {
      const name = await this.#queue.take(this.#signal);
      try {
        this.#settle(name, await this.#attempt(name));
      } finally {
        this.#queue.done(name);
      }
    }
  }

  /**
   * Watches until the signal aborts. `begin` is called each time the watch starts, and the function that it returns
   * receives the changes.
   */
  async #follow<U>(
    changes: (signal: AbortSignal) => AsyncIterable<ObjectChange<U>>,
    begin: () => (change: ObjectChange<U>) => void,
  ): Promise<never> {
    const { logger } = this.#options;
    for (let failures = 0;; failures += 1) {
      const apply = begin();
      try {
        for await (const change of changes(this.#signal)) {
          apply(change);
          failures = 0;
        }
        this.#signal.throwIfAborted();
        logger.warn("watch ended, starting it again");
      } catch (error) {
        this.#signal.throwIfAborted();
        logger.error("watch failed, starting it again", { error: getErrorMessage(error) });
      }
      await this.#sleep(backoffMs(failures));
    }
  }

  #apply(change: ObjectChange<T>, missing: Set<string>): void {
    if (change.kind === "synced") {
      for (const name of missing) this.#drop(name);
      missing.clear();
      this.#synced.resolve();
      return;
    }
    const { concerns, getKey = getName } = this.#options;
    const name = getKey(change.object);
    missing.delete(name);
    if (change.kind === "deleted") return this.#drop(name);
    this.#cache.set(name, change);
    if (concerns?.(change.object) === false) {
      this.#concerned.delete(name);
    } else {
      this.#concerned.add(name);
      this.#queue.add(name);
    }
  }

  #drop(name: string): void {
    const isKnown = this.#cache.delete(name);
    if (this.#concerned.delete(name) || !isKnown) this.#queue.add(name);
  }

  async #attempt(name: string): Promise<Outcome> {
    try {
      return await this.#options.reconcile(name, this.#cache.get(name)?.object, this.#signal);
    } catch (error) {
      return { kind: "retry", error };
    }
  }

  #settle(name: string, outcome: Outcome): void {
    switch (outcome.kind) {
      case "done":
        this.#queue.forget(name);
        break;
      case "requeueAfter":
        this.#queue.forget(name);
        this.#queue.addAfter(name, outcome.ms);
        break;
      case "retry":
        if (this.#signal.aborted) break;
        this.#queue.addRateLimited(name);
        this.#logRetry(name, outcome.error, outcome.quiet ?? isRace(outcome.error));
        break;
      case "terminal":
        this.#queue.forget(name);
        this.#options.logger.error("reconciliation failed permanently", {
          name,
          error: getErrorMessage(outcome.error),
        });
    }
  }

  #logRetry(name: string, error: unknown, quiet: boolean): void {
    const { logger } = this.#options;
    const fields = { name, attempt: this.#queue.failures(name), error: getErrorMessage(error) };
    if (quiet) logger.debug("reconciliation will be tried again", fields);
    else logger.error("reconciliation failed, will be tried again", fields);
  }

  #sleep(ms: number): Promise<void> {
    return this.#options.clock.sleep(ms, this.#signal);
  }
}

/** True when another client wrote or deleted the object in between; the watch then delivers the newer state. */
function isRace(error: unknown): boolean {
  return isAppError(error, "conflict", "not_found");
}

/** The rate limiters of upstream's certificate controllers (`pkg/controller/certificates/certificate_controller.go`). */
const BACKOFF = { baseMs: 200, maxMs: 1_000_000 };
const RETRIES = { burst: 100, refillMs: 100 };

/**
 * The work queue of a controller (client-go `util/workqueue`): a name is queued only once and is never processed by two
 * workers at a time. A name that is added while it is being processed is processed again afterwards.
 */
interface WorkQueue {
  /** Adds a name now, or after the current run when the name is being processed. */
  add(name: string): void;
  /** Adds a name after `ms`; of two delays the shorter one counts. */
  addAfter(name: string, ms: number): void;
  /** Counts a failure and adds the name after the back-off of its failures in a row. */
  addRateLimited(name: string): void;
  forget(name: string): void;
  failures(name: string): number;
  /** Takes the next name, for which the caller must call `done`. Rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<string>;
  done(name: string): void;
  /** Moves names whose delay has passed into the queue. Runs until the signal aborts, then resolves. */
  runDelays(signal: AbortSignal): Promise<void>;
}

/** Creates an empty queue for the names of objects. */
export function createWorkQueue(clock: Clock, observer?: QueueObserver): WorkQueue {
  const ready = new Set<string>();
  const working = new Set<string>();
  const changedWhileWorking = new Set<string>();
  const waiting = new Map<string, number>();
  const failureCounts = new Map<string, number>();
  const takers = createWaitQueue();
  const retries = createTokenBuckets(() => clock.elapsedMs(), RETRIES);
  let earlier = Promise.withResolvers<void>();
  let alarmAt = Infinity;

  function add(name: string): void {
    if (working.has(name)) {
      changedWhileWorking.add(name);
      return;
    }
    if (!ready.has(name)) observer?.added(name);
    ready.add(name);
    takers.wakeNext();
  }

  function addAfter(name: string, ms: number): void {
    if (ms <= 0) return add(name);
    const at = clock.elapsedMs() + ms;
    if ((waiting.get(name) ?? Infinity) <= at) return;
    waiting.set(name, at);
    if (at < alarmAt) earlier.resolve();
  }

  function addRateLimited(name: string): void {
    const failures = failureCounts.get(name) ?? 0;
    observer?.retried(name);
    failureCounts.set(name, failures + 1);
    addAfter(name, Math.max(backoffMs(failures), retries.reserve("")));
  }

  async function take(signal: AbortSignal): Promise<string> {
    while (true) {
      signal.throwIfAborted();
      for (const name of ready) {
        ready.delete(name);
        working.add(name);
        observer?.taken(name);
        return name;
      }
      await takers.wait(signal);
    }
  }

  function done(name: string): void {
    working.delete(name);
    observer?.done(name);
    if (changedWhileWorking.delete(name)) add(name);
  }

  async function runDelays(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      earlier = Promise.withResolvers();
      alarmAt = Infinity;
      for (const at of waiting.values()) alarmAt = Math.min(alarmAt, at);
      try {
        await sleepUntilAlarm(signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      const now = clock.elapsedMs();
      for (const [name, at] of waiting) {
        if (at > now) continue;
        waiting.delete(name);
        add(name);
      }
    }
  }

  /** Returns at the alarm, or when an earlier alarm is set. */
  async function sleepUntilAlarm(signal: AbortSignal): Promise<void> {
    if (alarmAt === Infinity) return await orAbort(earlier.promise, signal);
    using sleep = createChildAbort(signal);
    const slept = clock.sleep(alarmAt - clock.elapsedMs(), sleep.signal);
    try {
      await orAbort(Promise.race([slept, earlier.promise]), signal);
    } finally {
      sleep.abort();
      await slept.catch(() => undefined);
    }
  }

  return {
    add,
    addAfter,
    addRateLimited,
    forget: (name) => void failureCounts.delete(name),
    failures: (name) => failureCounts.get(name) ?? 0,
    take,
    done,
    runDelays,
  };
}

/** Sleeps until the time has passed or the signal aborts, which the caller checks. */
export async function sleepOrAbort(clock: Pick<Clock, "sleep">, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Returns the wait after a number of earlier failures in a row: 200 ms, doubled each time, at most 1000 s. */
export function backoffMs(failures: number): number {
  return Math.min(BACKOFF.baseMs * 2 ** failures, BACKOFF.maxMs);
}
