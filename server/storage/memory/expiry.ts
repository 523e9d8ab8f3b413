/**
 * Deletes Event objects an hour after their last write (kube-apiserver `--event-ttl`, where etcd leases do it). The
 * deletions are ordinary: they have revisions, and watches report them.
 */
import { getErrorMessage } from "../../../core/errors.ts";
import { EVENTS_PREFIX } from "../../../core/kube/kinds/events_v1.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import type { LoggedEvent } from "./engine.ts";
import { RevisionConflictError, type Storage } from "../storage.ts";

/** The largest number of Events that one commit deletes. */
const MAX_SWEEP = 500;
/** The pause between a failed deletion and the next attempt. */
const RETRY_MS = 60_000;

export interface ExpiryDeps {
  readonly clock: Clock;
  /** The store's time; see `createSteadyNow`. */
  readonly now: () => number;
  readonly logger: Logger | undefined;
  readonly eventTtlMs: number;
  /** When each key was last written before the start, in milliseconds since 1970, oldest first. */
  readonly writtenAt: ReadonlyMap<string, number>;
}

/** Deletes Events when they expire. A timer runs only while there are Events. */
export class EventExpiry implements AsyncDisposable {
  readonly #deps: ExpiryDeps;
  readonly #storage: Pick<Storage, "get" | "delete">;
  /** The times of last writes, oldest first. */
  readonly #writtenAt: Map<string, number>;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(deps: ExpiryDeps, storage: Pick<Storage, "get" | "delete">) {
    this.#deps = deps;
    this.#storage = storage;
    this.#writtenAt = new Map([...deps.writtenAt].filter(([key]) => key.startsWith(EVENTS_PREFIX)));
    this.#start();
  }

  /** Records the last writes of committed changes. */
  observe(changes: readonly LoggedEvent[]): void {
    for (const { event, at } of changes) {
      if (!event.key.startsWith(EVENTS_PREFIX)) continue;
      this.#writtenAt.delete(event.key);
      if (event.current !== undefined) this.#writtenAt.set(event.key, at);
    }
    this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("storage is closing"));
    await this.#running;
  }

  #start(): void {
    if (this.#running !== undefined || this.#writtenAt.size === 0 || this.#stop.signal.aborted) return;
    this.#running = this.#run(this.#stop.signal).finally(() => {
      this.#running = undefined;
      this.#start();
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, now, logger, eventTtlMs } = this.#deps;
    try {
      const oldest = this.#writtenAt.values().next().value!;
      await clock.sleep(oldest + eventTtlMs - now(), signal);
      await this.#sweep();
    } catch (error) {
      if (signal.aborted) return;
      logger?.warn("cannot delete expired events", { error: getErrorMessage(error) });
      await clock.sleep(RETRY_MS, signal).catch(() => undefined);
    }
  }

  /** Deletes expired Events in one commit. */
  async #sweep(): Promise<void> {
    const expiredBefore = this.#deps.now() - this.#deps.eventTtlMs;
    const deletions: Promise<void>[] = [];
    for (const [key, at] of this.#writtenAt) {
      if (at > expiredBefore || deletions.length === MAX_SWEEP) break;
      deletions.push(this.#delete(key));
    }
    const failed = (await Promise.allSettled(deletions)).find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #delete(key: string): Promise<void> {
    const stored = await this.#storage.get(key);
    try {
      if (stored !== undefined) await this.#storage.delete(key, stored.revision);
    } catch (error) {
      // It was written again meanwhile, so its hour starts again.
      if (!(error instanceof RevisionConflictError)) throw error;
    }
  }
}
