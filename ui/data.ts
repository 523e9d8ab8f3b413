/**
 * The objects that pages show. Each kind is watched once for all browsers, from the first page that needs it until the
 * server ends, with the rights of the user's kubeconfig.
 */
import { createObjectStore } from "../client/objects/object_store.ts";
import { AppError } from "../core/errors.ts";
import { type KubeObject, toObjectKey } from "../core/kube/meta.ts";
import type { Kind } from "../core/kube/schema.ts";
import type { Clock, Logger, ObjectChange, Random, Transport } from "../core/ports.ts";

/** A kind to watch, and what is kept of each object. Declared once, as a constant next to the page that shows it. */
export interface UiWatch<T extends KubeObject, E> {
  /** The name in the page's stream of events, usually the plural of the kind. */
  readonly id: string;
  readonly kind: Kind;
  /** The namespace of a namespaced kind; all namespaces without it. */
  readonly namespace?: string;
  readonly fieldSelector?: string;
  /** Returns what is kept of an object: only what lists show, because there may be ten thousand of them. */
  keep(object: T): E;
}

/** The objects of one watch. */
export interface UiCollection<E> {
  /** The kept part of each object, by name, or by `namespace/name` for a namespaced kind. */
  readonly entries: ReadonlyMap<string, E>;
  /** A number that grows with each change. */
  readonly version: number;
  /** The failure of the watch, which is tried again; undefined while it runs. */
  readonly fault: AppError | undefined;
}

/** A source other than the API that a page follows, such as the story of the demo. */
export interface UiSource {
  /** A number that grows with each change. */
  readonly version: number;
  /** The functions to call at each change. */
  readonly listeners: Set<() => void>;
}

/** A failed watch, whose last state the page still shows. */
export interface UiFault {
  readonly id: string;
  readonly error: AppError;
}

export interface UiData {
  /**
   * Returns the objects of a watch, which starts with the first call. Waits until all have arrived. Throws AppError when
   * that fails, for example because the user may not list them.
   */
  read<T extends KubeObject, E>(watch: UiWatch<T, E>, signal: AbortSignal): Promise<UiCollection<E>>;
  /** The state of the watches with these ids, or of the objects `id:NAME`, as one text that changes with each change. */
  describeVersion(ids: readonly string[]): string;
  /** Lists the watches with these ids that have failed after they ran. */
  listFaults(ids: readonly string[]): readonly UiFault[];
  /**
   * Waits for the next change of the watches with these ids. Resolves with false when there is none within `withinMs`.
   */
  waitForChange(ids: readonly string[], withinMs: number, signal: AbortSignal): Promise<boolean>;
}

interface UiDataDeps {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The sources besides the API, by the ids in `UiPage.live`. */
  readonly sources?: Readonly<Record<string, UiSource>> | undefined;
}

/** The longest pause before a failed watch is tried again, because a user is waiting. */
const MAX_PAUSE_MS = 5_000;
/** A longer sleep is not a pause but the timeout of a silent watch. */
const LONGEST_BACKOFF_MS = 60_000;

/** Chooses how long a watch sleeps. A refused request is not repeated every few seconds for a whole day. */
function choosePause(ms: number, fault: AppError | undefined): number {
  const isRefused = fault?.code === "access_denied" || fault?.code === "not_found";
  return ms > LONGEST_BACKOFF_MS || isRefused ? ms : Math.min(ms, MAX_PAUSE_MS);
}

/** Creates the data; the watches end with the signal. */
export function createUiData(deps: UiDataDeps, signal: AbortSignal): UiData {
  const followed = new Map<string, Followed<KubeObject, unknown>>();
  const sources = new Map(
    Object.entries(deps.sources ?? {}).map(([id, source]) => [id, {
      fault: undefined,
      hasRun: true,
      listeners: source.listeners,
      getVersion: () => String(source.version),
    }]),
  );
  const select = (ids: readonly string[]) =>
    ids.flatMap((text) => {
      const [id = "", ...rest] = text.split(":");
      const found = followed.get(id) ?? sources.get(id);
      return found === undefined ? [] : [{ id, found, name: rest.length === 0 ? undefined : rest.join(":") }];
    });
  return {
    async read<T extends KubeObject, E>(watch: UiWatch<T, E>, inner: AbortSignal): Promise<UiCollection<E>> {
      let found = followed.get(watch.id) as Followed<T, E> | undefined; // an id belongs to one watch
      if (found === undefined) {
        found = new Followed(watch);
        followed.set(watch.id, found as unknown as Followed<KubeObject, unknown>);
        found.follow(deps, signal);
      }
      await found.waitForList(inner);
      return found;
    },
    describeVersion: (ids) => select(ids).map(({ found, name }) => found.getVersion(name)).join("."),
    listFaults: (ids) =>
      select(ids).flatMap(({ id, found: { fault, hasRun } }) =>
        fault === undefined || !hasRun ? [] : [{ id, error: fault }]
      ),
    async waitForChange(ids, withinMs, inner) {
      const done = new AbortController();
      const within = AbortSignal.any([inner, done.signal]);
      const isChange = await Promise.race([
        waitForNotice(select(ids).map(({ found }) => found.listeners), within).then(() => true, () => false),
        deps.clock.sleep(withinMs, within).then(() => false, () => false),
      ]);
      done.abort(new Error("the wait has ended"));
      inner.throwIfAborted();
      return isChange;
    },
  };
}

/** One watch and its state. */
class Followed<T extends KubeObject, E> implements UiCollection<E> {
  readonly entries = new Map<string, E>();
  readonly listeners = new Set<() => void>();
  version = 0;
  fault: AppError | undefined;
  /** The version in which each entry changed last. */
  readonly #versions = new Map<string, number>();
  readonly #watch: UiWatch<T, E>;
  /** Whether all objects have arrived once. */
  hasRun = false;

  constructor(watch: UiWatch<T, E>) {
    this.#watch = watch;
  }

  /** Starts the watch, which ends with the signal. */
  follow(deps: UiDataDeps, signal: AbortSignal): void {
    const { kind, namespace, fieldSelector } = this.#watch;
    const clock: Clock = {
      ...deps.clock,
      sleep: (ms, inner) => deps.clock.sleep(choosePause(ms, this.fault), inner),
    };
    const transport: Transport = {
      // A watch that works again may be silent for a long time, so its response already clears the fault.
      send: async (request, inner) => {
        const answer = await deps.transport.send(request, inner);
        if (answer.status === 200 && this.fault !== undefined) this.#setFault(undefined);
        return answer;
      },
    };
    const store = createObjectStore<T>(transport, kind, {
      ...deps,
      clock,
      ...(namespace === undefined ? {} : { namespace }),
      fieldSelector,
      onFailure: (error) => this.#setFault(error),
    });
    const run = async () => {
      for await (const change of store.changes(signal)) {
        this.#apply(change);
        this.#notify();
      }
    };
    run().catch((error: unknown) => {
      if (signal.aborted) return;
      this.#setFault(error instanceof AppError ? error : new AppError("internal", String(error)));
    });
  }

  /** Returns the version of one entry, or of all of them; a fault changes both. */
  getVersion(name: string | undefined): string {
    const version = name === undefined ? this.version : this.#versions.get(name) ?? 0;
    return this.fault === undefined ? String(version) : `${version}!`;
  }

  #apply(change: ObjectChange<T>): void {
    if (change.kind === "synced") {
      this.hasRun = true;
      return;
    }
    // A cluster-scoped object has no namespace before the slash.
    const key = toObjectKey(change.object).replace(/^\//, "");
    if (change.kind === "changed") {
      this.entries.set(key, this.#watch.keep(change.object));
      this.#versions.set(key, this.version + 1);
    } else {
      this.entries.delete(key);
      this.#versions.delete(key);
    }
  }

  /** Waits until all objects have arrived. Throws the failure of the watch. */
  async waitForList(signal: AbortSignal): Promise<void> {
    while (!this.hasRun) {
      signal.throwIfAborted();
      if (this.fault !== undefined) throw this.fault;
      await waitForNotice([this.listeners], signal);
    }
  }

  #setFault(error: AppError | undefined): void {
    // A refused watch fails again and again with the same error, which is not a change.
    const isSame = this.fault?.message === error?.message;
    this.fault = error;
    if (!isSame) this.#notify();
  }

  #notify(): void {
    this.version++;
    for (const listener of [...this.listeners]) listener();
  }
}

/** Resolves when a listener in one of the sets is called; rejects with the signal's reason. */
async function waitForNotice(sets: readonly Set<() => void>[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener("abort", stop);
  for (const set of sets) set.add(resolve);
  await promise;
  signal.removeEventListener("abort", stop);
  for (const set of sets) set.delete(resolve);
  signal.throwIfAborted();
}
