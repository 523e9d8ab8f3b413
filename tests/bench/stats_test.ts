import assert from "node:assert/strict";
import { test } from "node:test";
import { findMedian, findSpread } from "./stats.ts";

test("findMedian() takes the middle, and the mean of two middles", () => {
  assert.equal(findMedian([3]), 3);
  assert.equal(findMedian([10, 9, 1]), 9);
  assert.equal(findMedian([4, 1, 100, 2]), 3);
  assert.throws(() => findMedian([]), /median of nothing/);
});

test("findSpread() takes the ends, by number and not by text", () => {
  assert.deepEqual(findSpread([9, 10, 2]), [2, 10]);
  assert.throws(() => findSpread([]), /spread of nothing/);
});
