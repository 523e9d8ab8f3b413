import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "../../tests/support/fake_clock.ts";
import { createKeyedTurns } from "./keyed_turns.ts";

test("createKeyedTurns() runs one at a time for each key, after failures too", async () => {
  const turns = createKeyedTurns();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.run("a", async () => {
    order.push("first");
    await gate.promise;
    throw new Error("failed");
  });
  const refused = assert.rejects(first, /failed/);
  const second = turns.run("a", () => {
    order.push("second");
    return Promise.resolve(2);
  });
  await turns.run("b", () => Promise.resolve(order.push("other")));
  await settle();
  assert.deepEqual(order, ["first", "other"]);
  gate.resolve();
  await refused;
  assert.equal(await second, 2);
  assert.deepEqual(order, ["first", "other", "second"]);
});
