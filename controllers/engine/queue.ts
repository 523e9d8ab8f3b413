/**
 * The work queue of a controller and its rate limiter (client-go `util/workqueue`): a name is queued only once and is
 * never processed by two workers at a time. A name that is added while it is being processed is processed again
 * afterwards.
 */
import { createChildAbort, orAbort } from "../../core/lib/waiting.ts";
import { createTokenBuckets } from "../../core/lib/token_buckets.ts";
import type { Clock, QueueObserver } from "../../core/ports.ts";

/** The rate limiters of upstream's certificate controllers (`pkg/controller/certificates/certificate_controller.go`). */
const BACKOFF = { baseMs: 200, maxMs: 1_000_000 };
const RETRIES = { burst: 100, refillMs: 100 };

export interface WorkQueue {
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
  /** Moves names whose delay is over into the queue; runs until the signal aborts, then resolves. */
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

/** A queue of waiters that are woken one at a time, first in, first out. */
export interface WaitQueue {
  /** Resolves when the caller is woken. Rejects with the signal's reason, and then the caller is no longer in the queue. */
  wait(signal: AbortSignal): Promise<void>;
  /** Wakes the waiter that has waited longest, if there is one. */
  wakeNext(): void;
}

interface Waiter {
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Creates an empty queue. Waiters with the same signal share one abort listener, because adding one is the main cost. */
export function createWaitQueue(): WaitQueue {
  const waiters = new Set<Waiter>();
  const counts = new Map<AbortSignal, number>();

  function add(waiter: Waiter): void {
    const { signal } = waiter;
    const count = counts.get(signal) ?? 0;
    if (count === 0) signal.addEventListener("abort", rejectAborted);
    counts.set(signal, count + 1);
    waiters.add(waiter);
  }

  function remove(waiter: Waiter): void {
    const { signal } = waiter;
    waiters.delete(waiter);
    const count = (counts.get(signal) ?? 0) - 1;
    if (count > 0) {
      counts.set(signal, count);
      return;
    }
    counts.delete(signal);
    signal.removeEventListener("abort", rejectAborted);
  }

  function rejectAborted(): void {
    for (const waiter of [...waiters]) {
      if (!waiter.signal.aborted) continue;
      remove(waiter);
      waiter.reject(waiter.signal.reason);
    }
  }

  return {
    wait(signal) {
      if (signal.aborted) return Promise.reject(signal.reason);
      return new Promise((resolve, reject) => add({ signal, resolve, reject }));
    },
    wakeNext() {
      const next = waiters.values().next();
      if (next.done === true) return;
      remove(next.value);
      next.value.resolve();
    },
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
