/**
 * The newest state of every key, in byte order of the keys as in etcd. Entries are in a list of short sorted arrays, so
 * that a write moves at most a few hundred pointers however many keys there are, and counting a range adds up lengths.
 */
import { compareBytes } from "../../../core/lib/byte_order.ts";
import type { Stored } from "../storage.ts";

/** The size at which a chunk is split in two. */
const MAX_CHUNK = 512;

/** The place of an entry: `offset` within `chunk`; one past the end of the last chunk means "after everything". */
interface Position {
  readonly chunk: number;
  readonly offset: number;
}

/** A key with its newest state, which a write replaces without searching the key's place in the order. */
interface Entry {
  readonly key: string;
  stored: Stored;
}

/** An ordered map from key to stored object. */
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

  /** Counts the entries below a prefix from a position on, where the entry at the position is one. */
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
    return this.#locate((candidate) => compareBytes(candidate, key) >= 0);
  }

  /** Finds the first entry that passes a test which every later entry passes too. */
  #locate(test: (key: string) => boolean): Position {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(this.#chunks[middle]!.at(-1)!.key)) high = middle;
      else low = middle + 1;
    }
    return { chunk: low, offset: firstIndex(this.#chunks[low]!, ({ key }) => test(key), 0) };
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
  return firstIndex(entries, ({ key }) => !key.startsWith(prefix), from);
}

/** Searches a sorted array for the first entry that passes the test; returns its length when none does. */
export function firstIndex<Item>(entries: readonly Item[], test: (item: Item) => boolean, from: number): number {
  let low = from;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(entries[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
