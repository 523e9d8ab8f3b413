import assert from "node:assert/strict";
import { test } from "node:test";
import { History, KeyIndex, type LoggedEvent } from "./engine.ts";
import { createStored, readStored } from "../stored.ts";
import fc from "../../../tests/support/properties.ts";
import { thing } from "../../../tests/support/stored_things.ts";

/** Creates changes of one object, a second apart and of the same size; the first one creates the object. */
function changes(count: number, bytes: number): LoggedEvent[] {
  return Array.from({ length: count }, (_, index) => {
    const revision = index + 2;
    const current = readStored("/a", revision, new Uint8Array(bytes));
    const previous = index === 0 ? {} : { previous: readStored("/a", revision - 1, new Uint8Array(bytes)) };
    return { at: 1_000 * index, event: { key: "/a", revision, current, ...previous } };
  });
}

/** Returns the number of known changes after each append and the removal of old ones. */
function keep(history: History, count: number, bytes: number, historyMs: number, atMost = 2): number[] {
  return changes(count, bytes).map((entry) => {
    history.append(entry);
    const compaction = history.planCompaction(entry.at - historyMs, atMost);
    if (compaction !== undefined) history.compact(compaction);
    return history.since(history.compactedRevision).length;
  });
}

test("History drops states older than its limit, and no others while there is room", () => {
  assert.deepEqual(keep(new History(1), 6, 1_000, 3_000), [1, 2, 3, 4, 4, 4]);
});

test("History also drops newer states when they would need too much memory", () => {
  const history = new History(1, 4_600);
  // 500 for the first, which replaced nothing, and 1,500 for each that follows.
  assert.deepEqual(keep(history, 8, 1_000, 3_600_000), [1, 2, 3, 3, 3, 3, 3, 3]);
  assert.deepEqual(keep(new History(1, 5_000), 4, 1_000, 3_600_000), [1, 2, 3, 4]);
  assert.equal(history.compactedRevision, 6);
  assert.deepEqual(history.since(7).map(({ revision }) => revision), [8, 9]);
});

test("History keeps the newest state of an object however large it is", () => {
  assert.deepEqual(keep(new History(1, 4_600), 4, 1_000_000, 3_600_000).at(-1), 0);
  const history = new History(1, 4_600);
  for (const entry of changes(1, 1_000_000)) history.append(entry);
  assert.equal(history.planCompaction(-1, 10), undefined);
});

test("History drops no more at once than its limit, and catches up", () => {
  const history = new History(1, 4_600);
  for (const entry of changes(100, 1_000)) history.append(entry);
  const counts: number[] = [];
  for (let plan = history.planCompaction(-1, 40); plan !== undefined; plan = history.planCompaction(-1, 40)) {
    counts.push(plan.count);
    history.compact(plan);
  }
  assert.deepEqual(counts, [40, 40, 17]);
});

/** The number of keys, which is enough for several chunks. */
const COUNT = 3000;
const NAMES = Array.from({ length: COUNT }, (_, i) => `/r/${i % 3}/${String(i * 7919 % COUNT).padStart(5, "0")}`);

test("KeyIndex agrees with a sorted array, however many keys are added and removed", () => {
  const index = new KeyIndex();
  const present = new Map<string, number>();
  const set = (key: string, revision: number) => {
    index.set(createStored(key, thing(key), revision));
    present.set(key, revision);
  };
  const remove = (key: string) => {
    index.delete(key);
    present.delete(key);
  };
  const agree = () => {
    const sorted = [...present.keys()].sort();
    assert.deepEqual(index.page("/r/", "", 0).items.map((item) => item.key), sorted);
    fc.assert(
      fc.property(
        fc.constantFrom("/r/", "/r/0/", "/r/1/", "/r/2/", "/r/3/", "/q/", "/s/"),
        fc.oneof(fc.constantFrom("", ...NAMES), fc.constantFrom("/r/1/", "/r/1/00100x", "/z")),
        fc.constantFrom(0, 1, 2, 500, 512, 1000, 5000),
        (prefix, fromKey, limit) => {
          const want = sorted.filter((key) => key.startsWith(prefix) && key >= fromKey);
          const { items, remaining } = index.page(prefix, fromKey, limit);
          const shown = limit === 0 ? want : want.slice(0, limit);
          assert.deepEqual(items.map((item) => item.key), shown);
          assert.equal(remaining, want.length - shown.length);
        },
      ),
      { numRuns: 60 },
    );
    for (const key of NAMES.slice(0, 50)) assert.equal(index.get(key)?.revision, present.get(key));
  };

  agree();
  NAMES.forEach(set);
  agree();
  NAMES.slice(0, 1000).forEach((key) => set(key, COUNT + 1));
  NAMES.filter((_, i) => i % 3 === 1 || i % 5 === 0).forEach(remove);
  agree();
  NAMES.forEach(remove);
  agree();
  set(NAMES[5]!, 1);
  agree();
});

test("KeyIndex counts what remains of a few keys between many others", () => {
  const index = new KeyIndex();
  const list = (resource: string, count: number) => Array.from({ length: count }, (_, i) => `/r/${resource}/${i}`);
  const names = list("b", 9);
  for (const keys of [names, list("a", 40), list("c", 80)]) {
    for (const key of keys) index.set(createStored(key, thing(key), 2));
    for (let limit = 1; limit <= names.length; limit++) {
      const { items, remaining } = index.page("/r/b/", "", limit);
      assert.deepEqual(items.map(({ key }) => key), names.slice(0, limit));
      assert.equal(remaining, names.length - limit);
    }
  }
});
