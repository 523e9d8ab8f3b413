/** The log of recent changes, from which watches resume and past states are computed. */
import type { StorageEvent } from "../storage.ts";

/** A change and when it was made, in milliseconds since 1970. */
export interface LoggedEvent {
  readonly event: StorageEvent;
  readonly at: number;
}

/** A compaction of the oldest `count` changes, up to and including the one of `revision`. */
export interface Compaction {
  readonly revision: number;
  readonly count: number;
  /** Revisions that can no longer be read: overwritten states, and deletions. */
  readonly forgotten: readonly number[];
}

/**
 * The maximum size of the history: about 90,000 changes of requests with their certificates, near the capacity of one of
 * kube-apiserver's watch caches (`cacher/watch_cache.go`, `defaultUpperBoundCapacity`).
 */
const MAX_BYTES = 256 * 1_048_576;
/**
 * The overhead of each change in addition to the state that it replaced: its objects, its key, the header of its bytes.
 */
const OVERHEAD_BYTES = 500;

/** Changes in revision order; the oldest are dropped first. */
export class History {
  #entries: (LoggedEvent | undefined)[] = [];
  /** Entries before this index were dropped. */
  #head = 0;
  #bytes = 0;
  #compactedRevision: number;
  readonly #maxBytes: number;

  constructor(compactedRevision: number, mostBytes: number = MAX_BYTES) {
    this.#compactedRevision = compactedRevision;
    this.#maxBytes = mostBytes;
  }

  /** The oldest revision whose state and later changes are known. */
  get compactedRevision(): number {
    return this.#compactedRevision;
  }

  append(entry: LoggedEvent): void {
    this.#entries.push(entry);
    this.#bytes += measureEntry(entry);
  }

  /** Returns the changes after a revision, oldest first. */
  since(revision: number): StorageEvent[] {
    let low = this.#head;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle]!.event.revision > revision) high = middle;
      else low = middle + 1;
    }
    return this.#entries.slice(low).map((entry) => entry!.event);
  }

  /**
   * Plans to drop the changes made before a moment, and later ones while the history is too large; at most `atMost` of
   * them. Undefined when there is nothing to drop.
   */
  planCompaction(before: number, atMost: number): Compaction | undefined {
    const forgotten: number[] = [];
    let next = this.#head;
    let bytes = this.#bytes;
    while (next < this.#entries.length && next - this.#head < atMost) {
      const entry = this.#entries[next]!;
      if (entry.at >= before && bytes <= this.#maxBytes) break;
      bytes -= measureEntry(entry);
      const { event } = entry;
      if (event.previous !== undefined) forgotten.push(event.previous.revision);
      if (event.current === undefined) forgotten.push(event.revision);
      next++;
    }
    if (next === this.#head) return undefined;
    return { revision: this.#entries[next - 1]!.event.revision, count: next - this.#head, forgotten };
  }

  compact({ revision, count }: Compaction): void {
    for (let index = this.#head; index < this.#head + count; index++) {
      this.#bytes -= measureEntry(this.#entries[index]!);
    }
    this.#entries.fill(undefined, this.#head, this.#head + count);
    this.#head += count;
    this.#compactedRevision = revision;
    // Moving the rest only when half was dropped keeps the cost of dropping a change constant.
    if (this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }
}

/** Measures the memory of an entry; the state after the change is the newest, or counts with the change that replaced it. */
function measureEntry({ event: { previous } }: LoggedEvent): number {
  return OVERHEAD_BYTES + (previous?.size ?? 0);
}
