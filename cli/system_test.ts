import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { performance } from "node:perf_hooks";
import { test } from "node:test";
import { createSystemClock, createSystemRandom, parseForeground } from "./system.ts";

test("sleepUntil() returns at once for a past time", async () => {
  await createSystemClock().sleepUntil(new Date(0), new AbortController().signal);
});

test("sleepUntil() rejects with the signal's reason, even if years remain", async () => {
  const abort = new AbortController();
  const sleep = createSystemClock().sleepUntil(new Date("9999-01-01T00:00:00Z"), abort.signal);
  const reason = new Error("stop");
  abort.abort(reason);
  await assert.rejects(sleep, reason);
  await assert.rejects(createSystemClock().sleepUntil(new Date(0), abort.signal), reason);
});

test("sleep() sleeps again after a timer that fired early", async (t) => {
  const times = [0, 3, 5];
  const { mock } = t.mock.method(performance, "now", () => times.shift() ?? assert.fail("now() was called too often"));
  await createSystemClock().sleep(5, new AbortController().signal).finally(() => mock.restore());
  assert.deepEqual(times, []);
});

test("sleep() rejects with the signal's reason", async () => {
  const clock = createSystemClock();
  const abort = new AbortController();
  await clock.sleep(0, abort.signal);
  const sleep = clock.sleep(2 ** 40, abort.signal);
  const reason = new Error("stop");
  abort.abort(reason);
  await assert.rejects(sleep, reason);
  await assert.rejects(clock.sleep(0, abort.signal), reason);
});

test("createSystemRandom() returns bytes of the requested length and floats below one", () => {
  const random = createSystemRandom();
  assert.equal(random.bytes(32).length, 32);
  assert.notDeepEqual(random.bytes(32), random.bytes(32));
  const float = random.float();
  assert.ok(float >= 0 && float < 1);
});

test("createSystemRandom() returns no byte twice, whatever the lengths", () => {
  const random = createSystemRandom();
  const seen = new Set<string>();
  let given = 0;
  for (const length of [0, 1, 16, 255, 256, 257, 5000]) {
    for (let round = 0; round < 40; round++) {
      const bytes = random.bytes(length);
      assert.equal(bytes.length, length);
      if (length < 16) continue;
      given++;
      seen.add(Buffer.from(bytes).toString("hex"));
      assert.ok(bytes.some((byte) => byte !== 0));
    }
  }
  assert.equal(seen.size, given);
});

for (
  const { name, stat, want } of [
    { name: "true for the foreground group", stat: "7 (tlsboot) S 1 7 3 34816 7 4194560 0", want: true },
    { name: "false for a job in the background", stat: "7 (tlsboot) S 1 7 3 34816 3 4194560 0", want: false },
    { name: "undefined without a terminal", stat: "7 (tlsboot) S 1 7 3 0 -1 4194560 0", want: undefined },
    { name: "true whatever the program is called", stat: "7 (a) S 1 2 3) R 1 7 3 34816 7 0", want: true },
    { name: "undefined for another format", stat: "7", want: undefined },
  ]
) {
  test(`parseForeground() is ${name}`, () => assert.equal(parseForeground(stat), want));
}
