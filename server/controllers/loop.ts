/**
 * The loop every controller runs in: watch → cache → queue → reconcile. Level-based: a reconciler gets a name and what
 * the cache holds of it, decides, writes once guarded by resourceVersion, and answers with an outcome.
 */
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { Change, Clock, Logger, ObjectStore, Random } from "../../core/ports.ts";
import { createChildAbort, orAbort } from "./abort.ts";
import { createWorkQueue, type QueueObserver } from "./queue.ts";
import { backoffMs } from "./rate_limit.ts";

/** How a reconciliation ended. */
export type Outcome =
  | { readonly kind: "done" }
  /** All well; look again after this long. */
  | { readonly kind: "requeueAfter"; readonly ms: number }
  /** Try again with back-off; `quiet` when nobody needs to look. */
  | { readonly kind: "retry"; readonly error: unknown; readonly quiet?: boolean }
  /** It failed and trying again is no use until the object changes. */
  | { readonly kind: "terminal"; readonly error: unknown };

/** The outcome of most reconciliations. */
export const DONE: Outcome = { kind: "done" };

/** Brings one object to where it should be; `object` is undefined when there is none of that name. */
export type Reconcile<T extends KubeObject> = (
  name: string,
  object: T | undefined,
  signal: AbortSignal,
) => Promise<Outcome>;

/** Other objects whose changes call for a look at a name. */
export interface Trigger {
  changes(signal: AbortSignal): AsyncIterable<Change<KubeObject>>;
  /** The name to look at, or several. */
  nameFor(object: KubeObject): string | readonly string[];
}

/** What one kind of controller does. */
export interface Reconciler<T extends KubeObject> {
  readonly reconcile: Reconcile<T>;
  /**
   * Tells of what there is something to do about; every object when absent. The names of others are not looked at, but
   * for those that wait for another look already. One that goes is looked at if it was of concern.
   */
  readonly concerns?: (object: T) => boolean;
}

/** What a controller needs. */
export interface ControllerOptions<T extends KubeObject> extends Reconciler<T> {
  /** Stands on every log line. */
  readonly name: string;
  readonly store: Pick<ObjectStore<T>, "changes">;
  readonly triggers?: readonly Trigger[];
  /** How many names at once; 5 as upstream. */
  readonly workers?: number;
  /** Every name is looked at again after this to twice this; 12 hours as upstream. */
  readonly resyncMs?: number;
  /** Where the queue is watched, if it is. */
  readonly metrics?: ControllerObserver;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Who watches the queues of controllers. */
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
  const { signal } = life;
  const { store, triggers = [], reconcile, workers = WORKERS, resyncMs = RESYNC_MS, clock, random } = options;
  const concerns = options.concerns ?? (() => true);
  const logger = options.logger.with({ controller: options.name });
  const queue = createWorkQueue(clock, options.metrics?.queue(options.name));
  const cache = new Map<string, T>();
  const synced = Promise.withResolvers<void>();

  /** Watches for ever; `begin` is told of each start and gets the changes from then on. */
  async function follow<U>(
    changes: (signal: AbortSignal) => AsyncIterable<Change<U>>,
    begin: () => (change: Change<U>) => void,
  ): Promise<void> {
    for (let failures = 0;; failures += 1) {
      const apply = begin();
      try {
        for await (const change of changes(signal)) {
          apply(change);
          failures = 0;
        }
        signal.throwIfAborted();
        logger.warn("watch ended, starting it again");
      } catch (error) {
        signal.throwIfAborted();
        logger.error("watch failed, starting it again", { error: getErrorMessage(error) });
      }
      await sleep(backoffMs(failures));
    }
  }

  function beginObjects(): (change: Change<T>) => void {
    // A watch that starts anew tells what is there, not what went away in between.
    const missing = new Set(cache.keys());
    return (change) => apply(change, missing);
  }

  function beginTrigger({ nameFor }: Trigger): (change: Change<KubeObject>) => void {
    return (change) => {
      if (change.kind !== "synced") { for (const name of [nameFor(change.object)].flat()) queue.add(name); }
    };
  }

  function apply(change: Change<T>, missing: Set<string>): void {
    if (change.kind === "synced") {
      for (const name of missing) drop(name);
      missing.clear();
      synced.resolve();
      return;
    }
    const name = getName(change.object);
    missing.delete(name);
    if (change.kind === "deleted") return drop(name);
    cache.set(name, change.object);
    if (concerns(change.object)) queue.add(name);
  }

  function drop(name: string): void {
    const before = cache.get(name);
    cache.delete(name);
    if (before === undefined || concerns(before)) queue.add(name);
  }

  async function work(): Promise<void> {
    await orAbort(synced.promise, signal);
    while (true) {
      const name = await queue.take(signal);
      try {
        settle(name, await attempt(name));
      } finally {
        queue.done(name);
      }
    }
  }

  async function attempt(name: string): Promise<Outcome> {
    try {
      return await reconcile(name, cache.get(name), signal);
    } catch (error) {
      return { kind: "retry", error };
    }
  }

  function settle(name: string, outcome: Outcome): void {
    switch (outcome.kind) {
      case "done":
        queue.forget(name);
        break;
      case "requeueAfter":
        queue.forget(name);
        queue.addAfter(name, outcome.ms);
        break;
      case "retry":
        if (signal.aborted) break;
        queue.addRateLimited(name);
        logRetry(name, outcome.error, outcome.quiet ?? isRace(outcome.error));
        break;
      case "terminal":
        queue.forget(name);
        logger.error("reconciliation failed for good", { name, error: getErrorMessage(outcome.error) });
    }
  }

  function logRetry(name: string, error: unknown, quiet: boolean): void {
    const fields = { name, attempt: queue.failures(name), error: getErrorMessage(error) };
    if (quiet) logger.debug("reconciliation will be tried again", fields);
    else logger.error("reconciliation failed, will be tried again", fields);
  }

  async function resync(): Promise<void> {
    while (true) {
      await sleep(resyncMs * (1 + random.float()));
      for (const [name, object] of cache) if (concerns(object)) queue.add(name);
    }
  }

  function sleep(ms: number): Promise<void> {
    return clock.sleep(ms, signal);
  }

  logger.debug("controller started", { workers });
  const tasks = [
    follow((stop) => store.changes(stop), beginObjects),
    ...triggers.map((trigger) => follow((stop) => trigger.changes(stop), () => beginTrigger(trigger))),
    queue.runDelays(signal),
    resync(),
    ...Array.from({ length: workers }, work),
  ];
  // Tasks end by the signal alone. A bug in one must stop the others and must not be lost.
  await Promise.all(tasks.map((task) => task.catch((error: unknown) => life.abort(error))));
  if (!parent.aborted) throw signal.reason;
  logger.debug("controller stopped");
}

/** Somebody else wrote or deleted in between; the watch brings the newer state. */
function isRace(error: unknown): boolean {
  return isAppError(error, "conflict", "not_found");
}
