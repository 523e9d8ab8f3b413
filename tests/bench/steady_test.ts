import assert from "node:assert/strict";
import { test } from "node:test";
import { growthAtTheEnd } from "./steady.ts";

test("growthAtTheEnd() compares the last quarter with the one before, whatever came earlier", () => {
  const samples = (bytesAt: (second: number) => number) =>
    Array.from({ length: 101 }, (_, second) => ({ atMs: second * 1000, residentBytes: bytesAt(second) }));
  assert.equal(growthAtTheEnd(samples((second) => Math.min(second, 50))), 1);
  assert.equal(growthAtTheEnd(samples((second) => second > 75 ? 30 : 20)), 1.5);
  // One peak of a collector is not growth.
  assert.equal(growthAtTheEnd(samples((second) => second === 90 ? 1000 : 20)), 1);
  assert.throws(() => growthAtTheEnd([]), /median of nothing/);
});
