/**
 * Writes that wait for the next commit. They are checked and numbered when they are called for, against what is
 * committed and what waits before them, so the order of calls is the order of revisions.
 */
import { measureStored } from "./key_index.ts";
import type { StorageEvent, Stored } from "../storage.ts";

/** What the caller of one write is waiting for. */
interface Waiter {
  /** Called after the commit. */
  settle(): void;
  /** Called when the commit failed. */
  reject(error: unknown): void;
}

/** The writes of one commit. */
export class Batch {
  readonly #events: StorageEvent[] = [];
  readonly #waiters: Waiter[] = [];
  /** What the keys will hold after the commit; undefined for a deleted one. */
  readonly #states = new Map<string, Stored | undefined>();

  #growth = 0;

  /** The bytes that the store grows by with the commit. */
  get growth(): number {
    return this.#growth;
  }

  get events(): readonly StorageEvent[] {
    return this.#events;
  }

  /** Tells whether a key waits to be changed. */
  touches(key: string): boolean {
    return this.#states.has(key);
  }

  /** What a touched key will hold. */
  getState(key: string): Stored | undefined {
    return this.#states.get(key);
  }

  /** Adds a change; the promise resolves with `answer` once it is committed. */
  add<T>(event: StorageEvent, answer: T): Promise<T> {
    this.#growth += measureStored(event.current) - measureStored(event.previous);
    this.#events.push(event);
    this.#states.set(event.key, event.current);
    return new Promise((resolve, reject) => this.#waiters.push({ settle: () => resolve(answer), reject }));
  }

  /**
   * A refusal because of a change that is not committed yet: told after the commit, when reading the key again shows
   * what stood in the way. Told at once, a caller that reads and tries again would starve the commit.
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
