/** Waits: for a signal that aborts, and for earlier tasks with the same key. */

/** A signal that can abort on its own and also follows its parent. Dispose it, or the parent keeps its listener. */
export interface ChildAbort extends Disposable {
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

/** Waits for a promise or for the abort, whichever is first; an abort rejects with the signal's reason. */
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
export interface KeyedMutex {
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
