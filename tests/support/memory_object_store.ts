/**
 * An `ObjectStore` in memory, with the preconditions of a real API. Its objects are frozen, because a server in the
 * same process shares its objects.
 */
import { AppError } from "../../core/errors.ts";
import { formatTime, getName, type KubeObject } from "../../core/kube/meta.ts";
import type { Clock, ObjectChange, ObjectStore } from "../../core/ports.ts";

/** A store whose calls a test can read and make fail. */
export interface MemoryObjectStore<T extends KubeObject> extends ObjectStore<T> {
  /** Every call, such as `update n1/status`, including refused ones. */
  readonly calls: readonly string[];
  /** Returns the current object without recording a call; throws when there is none. */
  peek(name: string): T;
  /** Writes as another client, without a precondition or a recorded call. */
  put(object: T): T;
  /** Makes the next call that starts with this text fail with this error. */
  failNext(call: string, error: unknown): void;
  /** Ends every watch with this error. */
  breakWatches(error: unknown): void;
}

interface MemoryObjectStoreOptions<T extends KubeObject> {
  readonly objects?: readonly T[];
  /** Sets creation times, if given. */
  readonly clock?: Clock;
  /** Prepares an update as an endpoint does, such as `prepareCsrForApprovalUpdate`. */
  readonly prepareUpdate?: (object: T, stored: T, subresource: string | undefined) => T;
}

interface Watch<T> {
  readonly pending: ObjectChange<T>[];
  wake: PromiseWithResolvers<void>;
}

/** Creates a store with some objects. */
export function createMemoryObjectStore<T extends KubeObject>(
  options: MemoryObjectStoreOptions<T> = {},
): MemoryObjectStore<T> {
  const { clock, prepareUpdate = (object) => object } = options;
  const objects = new Map<string, T>();
  const calls: string[] = [];
  const failures: { readonly call: string; readonly error: unknown }[] = [];
  const watches = new Set<Watch<T>>();
  let revision = 0;
  let uids = 0;

  function record(call: string, signal: AbortSignal): void {
    signal.throwIfAborted();
    calls.push(call);
    const index = failures.findIndex((failure) => call.startsWith(failure.call));
    const [failure] = index < 0 ? [] : failures.splice(index, 1);
    if (failure !== undefined) throw failure.error;
  }

  function emit(change: ObjectChange<T>): void {
    for (const watch of watches) {
      watch.pending.push(change);
      watch.wake.resolve();
    }
  }

  function save(object: T, base?: T): T {
    revision += 1;
    const metadata = {
      ...object.metadata,
      uid: base?.metadata.uid ?? object.metadata.uid ?? `00000000-0000-0000-0000-${String(++uids).padStart(12, "0")}`,
      resourceVersion: String(revision),
      ...(clock === undefined || object.metadata.creationTimestamp !== undefined
        ? {}
        : { creationTimestamp: formatTime(clock.now()) }),
    };
    const saved = freeze({ ...object, metadata });
    objects.set(getName(object), saved);
    emit({ kind: "changed", object: saved });
    return saved;
  }

  function getStored(name: string): T {
    const stored = objects.get(name);
    if (stored === undefined) throw new AppError("not_found", `cannot find "${name}": there is none`);
    return stored;
  }

  async function* changes(signal: AbortSignal): AsyncIterable<ObjectChange<T>> {
    record("changes", signal);
    const watch: Watch<T> = {
      pending: [...[...objects.values()].map((object): ObjectChange<T> => ({ kind: "changed", object })), {
        kind: "synced",
      }],
      wake: createWake(),
    };
    const abort = (): void => watch.wake.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    watches.add(watch);
    try {
      while (true) {
        const next = watch.pending.shift();
        if (next !== undefined) {
          yield next;
          continue;
        }
        await watch.wake.promise;
        watch.wake = createWake();
      }
    } finally {
      watches.delete(watch);
      signal.removeEventListener("abort", abort);
    }
  }

  for (const object of options.objects ?? []) save(object);

  return {
    calls,
    changes,
    peek: getStored,
    put: (object) => save(object, objects.get(getName(object))),
    failNext: (call, error) => void failures.push({ call, error }),
    breakWatches(error) {
      for (const watch of watches) watch.wake.reject(error);
    },
    async get(name, signal) {
      record(`get ${name}`, signal);
      return await Promise.resolve(objects.get(name));
    },
    async list(signal) {
      record("list", signal);
      return await Promise.resolve([...objects.values()]);
    },
    async create(object, signal) {
      const name = getName(object);
      record(`create ${name}`, signal);
      if (objects.has(name)) throw new AppError("already_exists", `cannot create "${name}": it exists`);
      return await Promise.resolve(save(object));
    },
    async update(object, signal, subresource) {
      const name = getName(object);
      record(`update ${name}${subresource === undefined ? "" : `/${subresource}`}`, signal);
      const stored = getStored(name);
      const { resourceVersion } = object.metadata;
      if (resourceVersion !== undefined && resourceVersion !== stored.metadata.resourceVersion) {
        throw new AppError("conflict", `cannot update "${name}": another client wrote it`, { retryable: true });
      }
      return await Promise.resolve(save(prepareUpdate(object, stored, subresource), stored));
    },
    async delete(name, signal, preconditions) {
      record(`delete ${name}`, signal);
      const stored = getStored(name);
      if (preconditions?.uid !== undefined && preconditions.uid !== stored.metadata.uid) {
        throw new AppError("conflict", `cannot delete "${name}": it is another object`);
      }
      objects.delete(name);
      emit({ kind: "deleted", object: stored });
      await Promise.resolve();
    },
  };
}

/** Freezes a value and all that it contains. */
function freeze<V>(value: V): V {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(freeze);
  return Object.freeze(value);
}

/**
 * Creates the signal that wakes a watch. It may reject while nothing waits for it; the watch rejects at its next wait.
 */
function createWake(): PromiseWithResolvers<void> {
  const wake = Promise.withResolvers<void>();
  wake.promise.catch(() => undefined);
  return wake;
}
