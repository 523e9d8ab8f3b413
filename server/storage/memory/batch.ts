/**
 * The writes that wait for the next commit. They are checked and numbered when they are requested, against the committed
 * state and the writes before them, so the order of calls is the order of revisions.
 */
import { measureStored } from "./key_index.ts";
import type { StorageEvent, Stored } from "../storage.ts";

/** The caller of one transaction, which waits for the commit. */
interface Waiter {
  /** Called once the commit is durable. */
  settle(): void;
  /** Called when the commit failed. */
  reject(error: unknown): void;
}

export class Batch {
  readonly #events: StorageEvent[] = [];
  readonly #waiters: Waiter[] = [];
  /** The states of keys after the commit; undefined for a deleted one. */
  readonly #states = new Map<string, Stored | undefined>();

  #growth = 0;

  /** The bytes that the store grows by with the commit. */
  get growth(): number {
    return this.#growth;
  }

  get events(): readonly StorageEvent[] {
    return this.#events;
  }

  /** True when this commit changes the key. */
  touches(key: string): boolean {
    return this.#states.has(key);
  }

  /** Returns the state of a touched key after the commit. */
  getState(key: string): Stored | undefined {
    return this.#states.get(key);
  }

  /** Adds the changes of a transaction; the promise resolves with them after the commit. */
  add(changes: readonly StorageEvent[]): Promise<readonly StorageEvent[]> {
    for (const event of changes) {
      this.#growth += measureStored(event.current) - measureStored(event.previous);
      this.#events.push(event);
      this.#states.set(event.key, event.current);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ settle: () => resolve(changes), reject }));
  }

  /**
   * Refuses a transaction because of a change that is not committed yet. The promise rejects after the commit, when reading the
   * key again shows that change. If it rejected at once, a caller that reads and tries again would starve the commit.
   */
  refuse(error: Error): Promise<never> {
    return new Promise((_resolve, reject) => this.#waiters.push({ settle: () => reject(error), reject }));
  }

  settle(): void {
    for (const waiter of this.#waiters) waiter.settle();
  }

  reject(error: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(error);
  }
}
