/** The log of changes that are still known: what a watch resumes from, and what a past state is computed from. */
import type { StorageEvent } from "../storage.ts";

/** A change and when it was made, in milliseconds since 1970. */
export interface LoggedEvent {
  readonly event: StorageEvent;
  readonly at: number;
}

/** A step of forgetting: the oldest `count` changes, up to and including the one of `revision`. */
export interface Compaction {
  readonly revision: number;
  readonly count: number;
  /** Writes whose outcome nobody can ask for any more: overwritten states, and deletions. */
  readonly forgotten: readonly number[];
}

/**
 * What all of it may take. Some 90,000 changes of requests with their certificates: as many as a watch cache of
 * kube-apiserver holds of one resource (`cacher/watch_cache.go`, `defaultUpperBoundCapacity`).
 */
const MAX_BYTES = 256 * 1_048_576;
/** Of each change, beside the state that it replaced: its objects, its key, the header of its bytes. */
const OVERHEAD_BYTES = 500;

/** Changes in revision order; the oldest leave first. */
export class History {
  #entries: (LoggedEvent | undefined)[] = [];
  /** Entries before this one are gone. */
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

  /** The changes after a revision, oldest first. */
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
   * What may be forgotten: changes made before a moment, and later ones where all of them take too much; at most so many.
   * Undefined when there is nothing.
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
    // Moving the rest down only when half is gone keeps the cost of forgetting constant per change.
    if (this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }
}

/** What is there for the sake of history: the state after a change is the newest, or counts with what replaced it. */
function measureEntry({ event: { previous } }: LoggedEvent): number {
  return OVERHEAD_BYTES + (previous?.bytes.length ?? 0);
}
