import assert from "node:assert/strict";
import { test } from "node:test";
import { createBodyBudget } from "./body_budget.ts";

test("createBodyBudget() evicts the largest body that is not being served", () => {
  const budget = createBodyBudget(100);
  const [served, small, large] = [budget.open(), budget.open(), budget.open()];
  const evicted: string[] = [];
  small.onEvicted(() => evicted.push("small"));
  large.onEvicted(() => evicted.push("large"));
  served.grow(60);
  served.pin();
  small.grow(10);
  large.grow(40);
  assert.deepEqual(evicted, ["large"]);
  assert.deepEqual([served.isEvicted, small.isEvicted, large.isEvicted], [false, false, true]);
  assert.equal(budget.bytes, 70);
});

test("createBodyBudget() ignores bytes that arrive after a body was released", () => {
  const budget = createBodyBudget(100);
  const body = budget.open();
  body.grow(30);
  body.release();
  body.grow(50);
  assert.equal(budget.bytes, 0);
  const other = budget.open();
  other.grow(90);
  assert.equal(other.isEvicted, false);
});
