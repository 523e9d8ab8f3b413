/**
 * The state of a store in memory: the newest objects, the history, and past states computed from both. It contains
 * committed writes only, and has no promises, watchers or files.
 */
import { AppError } from "../../../core/errors.ts";
import { type Compaction, History, type LoggedEvent } from "./history.ts";
import { firstIndex, KeyIndex } from "./key_index.ts";
import { compareBytes } from "../../../core/lib/byte_order.ts";
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

/** A store that has never been written. Like etcd it starts at 1, so that the first write is 2 and no list has 0. */
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

  /** Plans which history the next commit drops. */
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
  const start = firstIndex(all, ({ key }) => compareBytes(key, fromKey) >= 0, 0);
  const end = limit > 0 ? Math.min(all.length, start + limit) : all.length;
  return { items: all.slice(start, end), remaining: all.length - end };
}
