import assert from "node:assert/strict";
import { test } from "node:test";
import { medianOf, spreadOf } from "./stats.ts";

test("medianOf() takes the middle, and the mean of two middles", () => {
  assert.equal(medianOf([3]), 3);
  assert.equal(medianOf([10, 9, 1]), 9);
  assert.equal(medianOf([4, 1, 100, 2]), 3);
  assert.throws(() => medianOf([]), /median of nothing/);
});

test("spreadOf() takes the ends, by number and not by text", () => {
  assert.deepEqual(spreadOf([9, 10, 2]), [2, 10]);
  assert.throws(() => spreadOf([]), /spread of nothing/);
});
