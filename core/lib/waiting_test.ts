import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "../../tests/support/fake_clock.ts";
import { createKeyedMutex } from "./waiting.ts";

test("createKeyedMutex() runs one task at a time for each key, after failures too", async () => {
  const mutex = createKeyedMutex();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = mutex.runExclusive("a", async () => {
    order.push("first");
    await gate.promise;
    throw new Error("failed");
  });
  const refused = assert.rejects(first, /failed/);
  const second = mutex.runExclusive("a", () => {
    order.push("second");
    return Promise.resolve(2);
  });
  await mutex.runExclusive("b", () => Promise.resolve(order.push("other")));
  await settle();
  assert.deepEqual(order, ["first", "other"]);
  gate.resolve();
  await refused;
  assert.equal(await second, 2);
  assert.deepEqual(order, ["first", "other", "second"]);
});
