/** Waiting for an abort, for a turn in a queue, and for earlier tasks with the same key. */

/** A signal that can abort on its own and also follows its parent. Dispose it, or the parent keeps its listener. */
interface ChildAbort extends Disposable {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}

/** Creates a signal that aborts with its parent, with the same reason, or on its own. */
export function createChildAbort(parent: AbortSignal): ChildAbort {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent.reason);
  if (parent.aborted) follow();
  else parent.addEventListener("abort", follow, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]: () => parent.removeEventListener("abort", follow),
  };
}

/** Waits until a signal aborts, and does not reject. */
export async function waitForAbort(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

/** Waits for a promise or an abort, whichever comes first; an abort rejects with the signal's reason. */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const reject = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", reject, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", reject);
  }
}

/** Runs one task at a time for each key; tasks with different keys do not wait for each other. */
interface KeyedMutex {
  /** Runs a task after every earlier task with the same key has ended, even if one failed. */
  runExclusive<T>(key: string, task: () => Promise<T>): Promise<T>;
}

/** Creates a mutex that keeps only the keys in use. */
export function createKeyedMutex(): KeyedMutex {
  const last = new Map<string, Promise<unknown>>();
  return {
    async runExclusive(key, task) {
      const before = last.get(key) ?? Promise.resolve();
      const mine = before.then(task, task);
      last.set(key, mine);
      try {
        return await mine;
      } finally {
        if (last.get(key) === mine) last.delete(key);
      }
    },
  };
}

/** A queue of waiters that are woken one at a time, first in, first out. */
interface WaitQueue {
  /** Resolves when the caller is woken. An abort removes the caller from the queue and rejects with the signal's reason. */
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
