/** The running watches of a store. */
import { getErrorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/ports.ts";
import type { CompactedError, StorageEvent, StorageWatch } from "./storage.ts";

export type WatchListener = (events: readonly StorageEvent[]) => void;
/** Called when a watch is lost; a rejection is logged. */
export type LostListener = (error: CompactedError) => void | Promise<void>;

interface Watcher {
  readonly afterRevision: number;
  readonly listener: WatchListener;
  readonly onLost: LostListener | undefined;
  active: boolean;
}

/**
 * Running watches by prefix; events are filtered once for each prefix, however many watch it. A thousand nodes that each
 * watch their own request have a thousand prefixes of a few lengths, so an event finds its watchers with one look-up for
 * each length.
 */
export class Watchers {
  readonly #byLength = new Map<number, Map<string, Set<Watcher>>>();
  readonly #logger: Logger | undefined;

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  /** Gives a listener the missed events at once, and from then on the events passed to `notify`. */
  add(
    prefix: string,
    afterRevision: number,
    missed: readonly StorageEvent[],
    listener: WatchListener,
    onLost?: LostListener,
  ): StorageWatch {
    const watcher: Watcher = { afterRevision, listener, onLost, active: true };
    const watchers = this.#ensure(prefix).add(watcher);
    this.#deliver(watcher, missed.filter((event) => event.key.startsWith(prefix)));
    return {
      stop: () => {
        watcher.active = false;
        watchers.delete(watcher);
        if (watchers.size === 0) this.#drop(prefix, watchers);
      },
    };
  }

  /** Notifies all matching watches. A watch that a listener opens meanwhile has received these events as missed ones. */
  notify(events: readonly StorageEvent[]): void {
    const picked = new Map<Set<Watcher>, StorageEvent[]>();
    for (const event of events) {
      for (const [length, byPrefix] of this.#byLength) {
        const watchers = byPrefix.get(event.key.slice(0, length));
        if (watchers === undefined) continue;
        const earlier = picked.get(watchers);
        if (earlier === undefined) picked.set(watchers, [event]);
        else earlier.push(event);
      }
    }
    const deliveries = [...picked].flatMap(([watchers, mine]) => [...watchers].map((watcher) => ({ watcher, mine })));
    for (const { watcher, mine } of deliveries) this.#deliver(watcher, mine);
  }

  stopAll(): void {
    for (const watcher of this.#all()) watcher.active = false;
    this.#byLength.clear();
  }

  /** Ends every watch with an error, because changes that it should have received are unknown. */
  loseAll(error: CompactedError): void {
    const lost = [...this.#all()];
    this.stopAll();
    for (const { onLost } of lost) void this.#lose(onLost, error);
  }

  async #lose(onLost: LostListener | undefined, error: CompactedError): Promise<void> {
    try {
      await onLost?.(error);
    } catch (cause) {
      this.#logger?.error("storage watcher cannot begin again", { error: getErrorMessage(cause) });
    }
  }

  *#all(): Iterable<Watcher> {
    for (const byPrefix of this.#byLength.values()) {
      for (const watchers of byPrefix.values()) yield* watchers;
    }
  }

  #ensure(prefix: string): Set<Watcher> {
    const byPrefix = this.#byLength.get(prefix.length) ?? new Map<string, Set<Watcher>>();
    this.#byLength.set(prefix.length, byPrefix);
    const watchers = byPrefix.get(prefix) ?? new Set();
    byPrefix.set(prefix, watchers);
    return watchers;
  }

  #drop(prefix: string, watchers: Set<Watcher>): void {
    const byPrefix = this.#byLength.get(prefix.length);
    if (byPrefix?.get(prefix) !== watchers) return;
    byPrefix.delete(prefix);
    if (byPrefix.size === 0) this.#byLength.delete(prefix.length);
  }

  #deliver(watcher: Watcher, picked: readonly StorageEvent[]): void {
    const first = picked[0];
    if (first === undefined || !watcher.active) return;
    const events = first.revision > watcher.afterRevision
      ? picked
      : picked.filter((event) => event.revision > watcher.afterRevision);
    if (events.length === 0) return;
    try {
      watcher.listener(events);
    } catch (error) {
      // The write is committed and other watches must still get it, so a listener's bug is only logged.
      this.#logger?.error("storage watcher threw", { error: getErrorMessage(error) });
    }
  }
}
