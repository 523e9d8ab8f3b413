import assert from "node:assert/strict";
import { test } from "node:test";
import { createSystemClock, createSystemRandom } from "./system.ts";

test("sleepUntil() returns at once for a time that is past", async () => {
  await createSystemClock().sleepUntil(new Date(0), new AbortController().signal);
});

test("sleepUntil() ends with the signal's reason, also when years are left", async () => {
  const abort = new AbortController();
  const sleep = createSystemClock().sleepUntil(new Date("9999-01-01T00:00:00Z"), abort.signal);
  const reason = new Error("stop");
  abort.abort(reason);
  await assert.rejects(sleep, reason);
  await assert.rejects(createSystemClock().sleepUntil(new Date(0), abort.signal), reason);
});

test("createSystemRandom() gives bytes of the length asked and floats below one", () => {
  const random = createSystemRandom();
  assert.equal(random.bytes(32).length, 32);
  assert.notDeepEqual(random.bytes(32), random.bytes(32));
  const float = random.float();
  assert.ok(float >= 0 && float < 1);
});
