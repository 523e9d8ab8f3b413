/** Who wants to hear of which keys. */
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/ports.ts";
import type { StorageEvent, StorageWatch } from "./storage.ts";

/** What a watch is told. */
export type Listener = (events: readonly StorageEvent[]) => void;

interface Watcher {
  readonly afterRevision: number;
  readonly listener: Listener;
  active: boolean;
}

/** Running watches, by prefix: events are picked once per prefix however many watch it. */
export class Watchers {
  readonly #byPrefix = new Map<string, Set<Watcher>>();
  readonly #logger: Logger | undefined;

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  /** Tells a listener the missed events at once and from then on what `notify` is given. */
  add(prefix: string, afterRevision: number, missed: readonly StorageEvent[], listener: Listener): StorageWatch {
    const watcher: Watcher = { afterRevision, listener, active: true };
    const watchers = this.#byPrefix.get(prefix) ?? new Set();
    this.#byPrefix.set(prefix, watchers.add(watcher));
    this.#tell(watcher, missed.filter((event) => event.key.startsWith(prefix)));
    return {
      stop: () => {
        watcher.active = false;
        watchers.delete(watcher);
        if (watchers.size === 0 && this.#byPrefix.get(prefix) === watchers) this.#byPrefix.delete(prefix);
      },
    };
  }

  /** Tells everybody concerned. A watch that a listener opens meanwhile has had these events as missed ones. */
  notify(events: readonly StorageEvent[]): void {
    const told = [...this.#byPrefix].flatMap(([prefix, watchers]) => {
      const picked = events.filter((event) => event.key.startsWith(prefix));
      return picked.length === 0 ? [] : [...watchers].map((watcher) => ({ watcher, picked }));
    });
    for (const { watcher, picked } of told) this.#tell(watcher, picked);
  }

  stopAll(): void {
    for (const watchers of this.#byPrefix.values()) for (const watcher of watchers) watcher.active = false;
    this.#byPrefix.clear();
  }

  #tell(watcher: Watcher, picked: readonly StorageEvent[]): void {
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
      this.#logger?.error("storage watcher threw", { error: messageOf(error) });
    }
  }
}
