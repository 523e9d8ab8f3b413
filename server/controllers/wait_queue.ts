/** Those who wait for something of which there is one at a time, first come first served. */

/** A line of waiters. */
export interface WaitQueue {
  /** Resolves when it is the caller's turn; rejects with the signal's reason, and then the caller has left the line. */
  wait(signal: AbortSignal): Promise<void>;
  /** Lets the one go who has waited longest, if there is one. */
  wakeNext(): void;
}

interface Waiter {
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Makes an empty line. A signal is listened to once, however many wait with it: that is most of what a wait costs. */
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
