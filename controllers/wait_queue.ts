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
