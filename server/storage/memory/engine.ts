/**
 * The state of a store in memory: the newest objects, the history, and past states computed from both. It contains only
 * committed writes, and has no promises, watchers or files.
 */
import { AppError } from "../../../core/errors.ts";
import { compareBytes } from "../../../core/lib/go_text.ts";
import {
  CompactedError,
  type StorageEvent,
  type StorageListOptions,
  type StoragePage,
  type Stored,
} from "../storage.ts";

/** The content of a store when it is opened. */
export interface EngineStart {
  /** The newest revision of the storage. */
  readonly revision: number;
  readonly compactedRevision: number;
  /** The state of the objects at `compactedRevision`. */
  readonly base: readonly Stored[];
  /** Every change after it, oldest first. */
  readonly changes: readonly LoggedEvent[];
}

/**
 * A store that has never been written. Like etcd, it starts at revision 1, so the first write is 2 and no list has 0.
 */
export const EMPTY_START: EngineStart = { revision: 1, compactedRevision: 0, base: [], changes: [] };

/** How many past states are cached for the next pages of lists. */
const MAX_SNAPSHOTS = 4;

interface Snapshot {
  readonly prefix: string;
  readonly revision: number;
  readonly items: readonly Stored[];
}

/** The committed state of a store. */
export class Engine {
  readonly #newest = new KeyIndex();
  readonly #history: History;
  #revision: number;
  /** Cached past states, the most recently used one last. */
  #snapshots: Snapshot[] = [];

  constructor(start: EngineStart) {
    this.#revision = start.revision;
    this.#history = new History(start.compactedRevision);
    for (const stored of start.base) this.#newest.set(stored);
    for (const change of start.changes) this.#apply(change);
  }

  get revision(): number {
    return this.#revision;
  }

  get compactedRevision(): number {
    return this.#history.compactedRevision;
  }

  /** The size of the newest keys and objects. */
  get bytes(): number {
    return this.#newest.bytes;
  }

  get(key: string): Stored | undefined {
    return this.#newest.get(key);
  }

  /** Lists one page of a prefix. Throws CompactedError, or AppError `invalid` for a revision that does not exist yet. */
  list(prefix: string, { limit = 0, fromKey = "", revision = this.#revision }: StorageListOptions): StoragePage {
    if (revision > this.#revision) {
      throw new AppError("invalid", `cannot list "${prefix}" at revision ${revision}: the newest is ${this.#revision}`);
    }
    const { items, remaining } = revision === this.#revision
      ? this.#newest.page(prefix, fromKey, limit)
      : slicePage(this.#snapshot(prefix, revision), fromKey, limit);
    const lastKey = remaining > 0 ? items.at(-1)?.key : undefined;
    return { items, revision, remaining, ...(lastKey === undefined ? {} : { nextKey: `${lastKey}\u0000` }) };
  }

  /** Returns every change after a revision. Throws CompactedError when some of them are compacted. */
  eventsSince(revision: number): StorageEvent[] {
    this.#assertKnown(revision);
    return this.#history.since(revision);
  }

  /** Plans which changes of the history the next commit drops. */
  planCompaction(before: number, atMost: number): Compaction | undefined {
    return this.#history.planCompaction(before, atMost);
  }

  apply(changes: readonly LoggedEvent[], compaction: Compaction | undefined): void {
    for (const change of changes) this.#apply(change);
    if (compaction === undefined) return;
    this.#history.compact(compaction);
    this.#snapshots = this.#snapshots.filter((snapshot) => snapshot.revision >= compaction.revision);
  }

  /** Records that no key of this store changed up to a revision. */
  advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  #apply(change: LoggedEvent): void {
    const { key, revision, current } = change.event;
    if (current === undefined) this.#newest.delete(key);
    else this.#newest.set(current);
    this.#history.append(change);
    this.#revision = revision;
  }

  /** Returns the ordered state of a prefix at a past revision: the newest state with every later change undone. */
  #snapshot(prefix: string, revision: number): readonly Stored[] {
    this.#assertKnown(revision);
    const known = this.#snapshots.find((candidate) => candidate.prefix === prefix && candidate.revision === revision);
    const snapshot = known ?? { prefix, revision, items: this.#computePast(prefix, revision) };
    const others = this.#snapshots.filter((candidate) => candidate !== known);
    this.#snapshots = [...others.slice(1 - MAX_SNAPSHOTS), snapshot];
    return snapshot.items;
  }

  #computePast(prefix: string, revision: number): Stored[] {
    const past = new Map<string, Stored | undefined>();
    for (const { key, previous } of this.#history.since(revision)) {
      if (key.startsWith(prefix) && !past.has(key)) past.set(key, previous);
    }
    const unchanged = this.#newest.page(prefix, "", 0).items.filter((stored) => !past.has(stored.key));
    if (past.size === 0) return unchanged;
    const changed = [...past.values()].filter((stored) => stored !== undefined);
    return [...unchanged, ...changed].sort((a, b) => compareBytes(a.key, b.key));
  }

  #assertKnown(revision: number): void {
    if (revision < this.compactedRevision) throw new CompactedError(revision, this.compactedRevision);
  }
}

function slicePage(
  all: readonly Stored[],
  fromKey: string,
  limit: number,
): { readonly items: readonly Stored[]; readonly remaining: number } {
  const start = findFirstIndex(all, ({ key }) => compareBytes(key, fromKey) >= 0, 0);
  const end = limit > 0 ? Math.min(all.length, start + limit) : all.length;
  return { items: all.slice(start, end), remaining: all.length - end };
}

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

/** The recent changes in revision order, from which watches resume and past states are computed. */
export class History {
  #entries: (LoggedEvent | undefined)[] = [];
  /** Entries before this index were dropped. */
  #head = 0;
  #bytes = 0;
  #compactedRevision: number;
  readonly #maxBytes: number;

  constructor(compactedRevision: number, maxBytes: number = MAX_BYTES) {
    this.#compactedRevision = compactedRevision;
    this.#maxBytes = maxBytes;
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
    const first = findFirstIndex(this.#entries, (entry) => entry!.event.revision > revision, this.#head);
    return this.#entries.slice(first).map((entry) => entry!.event);
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
    // The rest is moved only when half has been dropped, which keeps the cost of dropping a change constant.
    if (this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }
}

/**
 * Measures the memory of an entry. The state after the change is the newest, or is counted with the change that
 * replaced it.
 */
function measureEntry({ event: { previous } }: LoggedEvent): number {
  return OVERHEAD_BYTES + (previous?.size ?? 0);
}

/** The size at which a chunk is split in two. */
const MAX_CHUNK = 512;

/** The position of an entry: `offset` within `chunk`. One past the end of the last chunk means "after everything". */
interface Position {
  readonly chunk: number;
  readonly offset: number;
}

/** A key with its newest state, which a write replaces without searching the key's place in the order. */
interface Entry {
  readonly key: string;
  stored: Stored;
}

/**
 * The newest state of every key, in byte order of the keys as in etcd. Entries are in a list of short sorted arrays, so
 * that a write moves at most a few hundred pointers for any number of keys, and a range is counted by adding up
 * lengths.
 */
export class KeyIndex {
  readonly #byKey = new Map<string, Entry>();
  /** Sorted chunks; none is empty except the only chunk of an empty index. */
  #chunks: Entry[][] = [[]];
  #bytes = 0;

  /** The size of all keys and objects together. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Stored | undefined {
    return this.#byKey.get(key)?.stored;
  }

  set(stored: Stored): void {
    const { key } = stored;
    const known = this.#byKey.get(key);
    this.#bytes += measureStored(stored) - measureStored(known?.stored);
    if (known !== undefined) {
      known.stored = stored;
      return;
    }
    const entry: Entry = { key, stored };
    const { chunk, offset } = this.#find(key);
    const entries = this.#chunks[chunk]!;
    entries.splice(offset, 0, entry);
    this.#byKey.set(key, entry);
    if (entries.length > MAX_CHUNK) this.#chunks.splice(chunk + 1, 0, entries.splice(entries.length >> 1));
  }

  delete(key: string): void {
    this.#bytes -= measureStored(this.get(key));
    if (!this.#byKey.delete(key)) return;
    const { chunk, offset } = this.#find(key);
    const entries = this.#chunks[chunk]!;
    entries.splice(offset, 1);
    if (entries.length === 0 && this.#chunks.length > 1) this.#chunks.splice(chunk, 1);
  }

  /**
   * Returns the entries below a prefix whose key is not less than `fromKey`, at most `limit` of them (0: all), and how many
   * follow.
   */
  page(prefix: string, fromKey: string, limit: number): { readonly items: Stored[]; readonly remaining: number } {
    let { chunk, offset } = this.#find(compareBytes(fromKey, prefix) < 0 ? prefix : fromKey);
    const items: Stored[] = [];
    for (; chunk < this.#chunks.length; chunk++, offset = 0) {
      const entries = this.#chunks[chunk]!;
      const end = endBelow(entries, prefix, offset);
      const taken = limit > 0 ? Math.min(end, offset + limit - items.length) : end;
      for (; offset < taken; offset++) items.push(entries[offset]!.stored);
      if (taken < end) return { items, remaining: this.#count({ chunk, offset }, prefix) };
      if (end < entries.length) break;
    }
    return { items, remaining: 0 };
  }

  /** Counts the entries below a prefix from a position on. The entry at the position must be below the prefix. */
  #count(from: Position, prefix: string): number {
    let count = -from.offset;
    for (let chunk = from.chunk; chunk < this.#chunks.length; chunk++) {
      const entries = this.#chunks[chunk]!;
      const end = endBelow(entries, prefix, chunk === from.chunk ? from.offset : 0);
      count += end;
      if (end < entries.length) return count;
    }
    return count;
  }

  /** Finds the first entry whose key is not less than the given one. */
  #find(key: string): Position {
    const isReached = (entry: Entry): boolean => compareBytes(entry.key, key) >= 0;
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isReached(this.#chunks[middle]!.at(-1)!)) high = middle;
      else low = middle + 1;
    }
    return { chunk: low, offset: findFirstIndex(this.#chunks[low]!, isReached, 0) };
  }
}

/** Returns the size of a state as the quota of a store counts it. */
export function measureStored(stored: Stored | undefined): number {
  return stored === undefined ? 0 : stored.key.length + stored.size;
}

/** Finds the end of the entries below a prefix; in most chunks it is enough to check the last entry. */
function endBelow(entries: readonly Entry[], prefix: string, from: number): number {
  const last = entries.at(-1);
  if (last === undefined || last.key.startsWith(prefix)) return entries.length;
  return findFirstIndex(entries, ({ key }) => !key.startsWith(prefix), from);
}

/**
 * Finds the first entry that passes a test, which all later entries must pass too; the length of the array if none
 * does.
 */
export function findFirstIndex<Item>(entries: readonly Item[], test: (item: Item) => boolean, from: number): number {
  let low = from;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(entries[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
