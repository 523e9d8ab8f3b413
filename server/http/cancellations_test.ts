import assert from "node:assert/strict";
import { test } from "node:test";
import { createCancellations } from "./cancellations.ts";

test("createCancellations() gives each user so many at once, and so many more in every second", () => {
  let at = 0;
  const { take } = createCancellations(() => at, { cancelledOfUser: 3, cancelledPerSecond: 2 });
  const taken = (user: string, count: number) => Array.from({ length: count }, () => take(user)).filter(Boolean).length;
  assert.equal(taken("flood", 10), 3);
  assert.equal(taken("other", 2), 2);
  at += 1_000;
  assert.equal(taken("flood", 10), 2);
  at += 499;
  assert.equal(taken("flood", 10), 0);
  at += 3_600_000;
  assert.equal(taken("flood", 10), 3);
});

test("createCancellations() forgets a user no sooner than its budget is whole again", () => {
  let at = 0;
  const { take, sweep } = createCancellations(() => at, { cancelledOfUser: 3, cancelledPerSecond: 1 });
  for (let index = 0; index < 3; index++) take("flood");
  at += 1_000;
  sweep();
  assert.deepEqual([take("flood"), take("flood")], [true, false]);
  at += 3_000;
  sweep();
  assert.deepEqual([1, 2, 3, 4].map(() => take("flood")), [true, true, true, false]);
});
