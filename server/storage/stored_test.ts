import assert from "node:assert/strict";
import { test } from "node:test";
import { ClockCache } from "./stored.ts";

class Entry {
  isUsed = false;
  isKept = true;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  release(): void {
    this.isKept = false;
  }
}

function listCached(things: readonly Entry[]): string {
  return things.filter(({ isKept }) => isKept).map(({ name }) => name).join("");
}

test("ClockCache keeps the newest entries that fit, and used ones longer", () => {
  const kept = new ClockCache<Entry>(30);
  const things = [..."abcdef"].map((name) => new Entry(name));
  const [a, b, c, d, e, f] = things;
  for (const thing of [a!, b!, c!]) kept.add(thing, 10);
  assert.equal(listCached(things.slice(0, 3)), "abc");
  a!.isUsed = true;
  kept.add(d!, 10);
  assert.equal(listCached(things.slice(0, 4)), "acd", "b had its turn after a, which was used");
  kept.add(e!, 10);
  assert.equal(listCached(things.slice(0, 5)), "ade");
  kept.add(f!, 20);
  assert.equal(listCached(things), "ef", "a was not used again");
});

test("ClockCache releases an entry larger than its capacity, and keeps working", () => {
  const kept = new ClockCache<Entry>(30);
  const [small, large, after] = [new Entry("s"), new Entry("l"), new Entry("a")];
  kept.add(small, 10);
  small.isUsed = true;
  kept.add(large, 31);
  assert.equal(listCached([small, large]), "s");
  kept.add(after, 30);
  assert.equal(listCached([after]), "a");
});

test("ClockCache keeps the few of many entries that are used again and again", () => {
  const kept = new ClockCache<Entry>(100);
  const hot = [new Entry("x"), new Entry("y")];
  for (const thing of hot) kept.add(thing, 1);
  const passing: Entry[] = [];
  for (let round = 0; round < 10_000; round++) {
    for (const thing of hot) thing.isUsed = true;
    passing.push(new Entry("."));
    kept.add(passing.at(-1)!, 1);
  }
  assert.equal(listCached(hot), "xy");
  assert.equal(listCached(passing).length, 98);
});
