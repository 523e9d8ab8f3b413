import assert from "node:assert/strict";
import { test } from "node:test";
import { createBodyBudget } from "./body_budget.ts";

test("createBodyBudget() gives up the largest body that is not being served", () => {
  const budget = createBodyBudget(100);
  const [served, small, large] = [budget.open(), budget.open(), budget.open()];
  const told: string[] = [];
  small.onGivenUp(() => told.push("small"));
  large.onGivenUp(() => told.push("large"));
  served.grow(60);
  served.keep();
  small.grow(10);
  large.grow(40);
  assert.deepEqual(told, ["large"]);
  assert.deepEqual([served.isGivenUp, small.isGivenUp, large.isGivenUp], [false, false, true]);
  assert.equal(budget.bytes, 70);
});

test("createBodyBudget() counts nothing that comes after a body was let go", () => {
  const budget = createBodyBudget(100);
  const body = budget.open();
  body.grow(30);
  body.release();
  body.grow(50);
  assert.equal(budget.bytes, 0);
  const other = budget.open();
  other.grow(90);
  assert.equal(other.isGivenUp, false);
});
