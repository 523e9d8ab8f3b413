import assert from "node:assert/strict";
import { test } from "node:test";
import { ClockCache } from "./clock_cache.ts";

class Thing {
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

function namesOf(things: readonly Thing[]): string {
  return things.filter(({ isKept }) => isKept).map(({ name }) => name).join("");
}

test("ClockCache keeps the newest entries that fit, and used ones longer", () => {
  const kept = new ClockCache<Thing>(30);
  const things = [..."abcdef"].map((name) => new Thing(name));
  const [a, b, c, d, e, f] = things;
  for (const thing of [a!, b!, c!]) kept.add(thing, 10);
  assert.equal(namesOf(things.slice(0, 3)), "abc");
  a!.isUsed = true;
  kept.add(d!, 10);
  assert.equal(namesOf(things.slice(0, 4)), "acd", "b had its turn after a, which was used");
  kept.add(e!, 10);
  assert.equal(namesOf(things.slice(0, 5)), "ade");
  kept.add(f!, 20);
  assert.equal(namesOf(things), "ef", "a was not used again");
});

test("ClockCache releases an entry larger than its capacity, and goes on", () => {
  const kept = new ClockCache<Thing>(30);
  const [small, large, after] = [new Thing("s"), new Thing("l"), new Thing("a")];
  kept.add(small, 10);
  small.isUsed = true;
  kept.add(large, 31);
  assert.equal(namesOf([small, large]), "s");
  kept.add(after, 30);
  assert.equal(namesOf([after]), "a");
});

test("ClockCache keeps the few of many entries that are used again and again", () => {
  const kept = new ClockCache<Thing>(100);
  const hot = [new Thing("x"), new Thing("y")];
  for (const thing of hot) kept.add(thing, 1);
  const passing: Thing[] = [];
  for (let round = 0; round < 10_000; round++) {
    for (const thing of hot) thing.isUsed = true;
    passing.push(new Thing("."));
    kept.add(passing.at(-1)!, 1);
  }
  assert.equal(namesOf(hot), "xy");
  assert.equal(namesOf(passing).length, 98);
});
