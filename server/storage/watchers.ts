/** Who wants to hear of which keys. */
import { getErrorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/ports.ts";
import type { CompactedError, StorageEvent, StorageWatch } from "./storage.ts";

/** What a watch is told. */
export type Listener = (events: readonly StorageEvent[]) => void;

interface Watcher {
  readonly afterRevision: number;
  readonly listener: Listener;
  readonly onLost: ((error: CompactedError) => void) | undefined;
  active: boolean;
}

/**
 * Running watches, by prefix: events are picked once per prefix however many watch it. A thousand nodes that each watch
 * their own request are a thousand prefixes of a few lengths, so that an event finds its watchers by a look-up a length.
 */
export class Watchers {
  readonly #byLength = new Map<number, Map<string, Set<Watcher>>>();
  readonly #logger: Logger | undefined;

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  /** Tells a listener the missed events at once and from then on what `notify` is given. */
  add(
    prefix: string,
    afterRevision: number,
    missed: readonly StorageEvent[],
    listener: Listener,
    onLost?: (error: CompactedError) => void,
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

  /** Tells everybody concerned. A watch that a listener opens meanwhile has had these events as missed ones. */
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
    const told = [...picked].flatMap(([watchers, mine]) => [...watchers].map((watcher) => ({ watcher, mine })));
    for (const { watcher, mine } of told) this.#deliver(watcher, mine);
  }

  stopAll(): void {
    for (const watcher of this.#all()) watcher.active = false;
    this.#byLength.clear();
  }

  /** Ends every watch, and tells why: changes that they were to be told of are not known. */
  loseAll(error: CompactedError): void {
    const lost = [...this.#all()];
    this.stopAll();
    for (const { onLost } of lost) onLost?.(error);
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
      // The write is committed and others wait to hear of it, so a listener's bug is reported and otherwise ignored.
      this.#logger?.error("storage watcher threw", { error: getErrorMessage(error) });
    }
  }
}
