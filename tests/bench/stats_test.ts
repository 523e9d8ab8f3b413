import assert from "node:assert/strict";
import { test } from "node:test";
import { bendsUpward, findMedian, growthAtTheEnd, risesAtTheEnd } from "./stats.ts";

test("findMedian() returns the middle number, or the mean of the two middle ones", () => {
  assert.equal(findMedian([3]), 3);
  assert.equal(findMedian([10, 9, 1]), 9);
  assert.equal(findMedian([4, 1, 100, 2]), 3);
  assert.throws(() => findMedian([]), /median of nothing/);
});

test("risesAtTheEnd() compares the last two values, with tolerance for noise", () => {
  assert.equal(risesAtTheEnd([9, 1, 1.2]), false);
  assert.equal(risesAtTheEnd([1, 1, 1.3]), true);
  assert.equal(risesAtTheEnd([1]), false);
});

test("bendsUpward() distinguishes a straight line from one that becomes steeper", () => {
  const line = (...heights: readonly number[]) => heights.map((y, index) => ({ x: [100, 1000, 5000][index] ?? 0, y }));
  assert.equal(bendsUpward(line(110, 200, 600)), false);
  assert.equal(bendsUpward(line(110, 200, 300)), false);
  assert.equal(bendsUpward(line(110, 200, 1600)), true);
  assert.equal(bendsUpward(line(110, 100, 1600)), true);
  assert.equal(bendsUpward(line(110, 100, 110)), false);
  assert.equal(bendsUpward(line(110, 900)), false);
});

test("growthAtTheEnd() compares the last quarter with the one before, whatever came earlier", () => {
  const samples = (bytesAt: (second: number) => number) =>
    Array.from({ length: 101 }, (_, second) => ({ atMs: second * 1000, residentBytes: bytesAt(second) }));
  assert.equal(growthAtTheEnd(samples((second) => Math.min(second, 50))), 1);
  assert.equal(growthAtTheEnd(samples((second) => second > 75 ? 30 : 20)), 1.5);
  // A single peak before a garbage collection is not growth.
  assert.equal(growthAtTheEnd(samples((second) => second === 90 ? 1000 : 20)), 1);
  assert.throws(() => growthAtTheEnd([]), /median of nothing/);
});
