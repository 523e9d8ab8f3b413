import assert from "node:assert/strict";
import { test } from "node:test";
import { bendsUpward, risesAtTheEnd } from "./growth.ts";

test("risesAtTheEnd() compares the last two values, with tolerance for noise", () => {
  assert.equal(risesAtTheEnd([9, 1, 1.2]), false);
  assert.equal(risesAtTheEnd([1, 1, 1.3]), true);
  assert.equal(risesAtTheEnd([1]), false);
});

test("bendsUpward() distinguishes a straight line from one that gets steeper", () => {
  const line = (...heights: readonly number[]) => heights.map((y, index) => ({ x: [100, 1000, 5000][index] ?? 0, y }));
  assert.equal(bendsUpward(line(110, 200, 600)), false);
  assert.equal(bendsUpward(line(110, 200, 300)), false);
  assert.equal(bendsUpward(line(110, 200, 1600)), true);
  assert.equal(bendsUpward(line(110, 100, 1600)), true);
  assert.equal(bendsUpward(line(110, 100, 110)), false);
  assert.equal(bendsUpward(line(110, 900)), false);
});
