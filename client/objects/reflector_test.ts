import assert from "node:assert/strict";
import { test } from "node:test";
import { reconnectDelayMs } from "./reflector.ts";

test("reconnectDelayMs() doubles from 0.8 s to 30 s and adds up to as much again", () => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 1000].map((attempt) => reconnectDelayMs(attempt, () => 0));
  assert.deepEqual(delays, [800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
  assert.equal(reconnectDelayMs(0, () => 0.5), 1200);
});
