import assert from "node:assert/strict";
import { test } from "node:test";
import { createPacing } from "./pacing.ts";

/** Pacing whose turns a test makes. */
function createPaced() {
  const turns: (() => void)[] = [];
  const pacing = createPacing((run) => turns.push(run));
  const begun: string[] = [];
  return {
    begun,
    turns,
    enter(name: string, connection: object, isKnown = false) {
      const wait = pacing.enter(connection, isKnown);
      if (wait === undefined) begun.push(name);
      else void wait.then(() => begun.push(name));
    },
    async turn() {
      turns.shift()?.();
      await Promise.resolve();
      await Promise.resolve();
    },
  };
}

test("createPacing() lets connections take turns: one request does not wait for a thousand", async () => {
  const { begun, enter, turn } = createPaced();
  const [flood, honest] = [{}, {}];
  for (let index = 0; index < 1_000; index++) enter("flood", flood, true);
  enter("honest", honest, true);
  assert.equal(begun.length, 16);
  await turn();
  assert.equal(begun.length, 32);
  assert.equal(begun.indexOf("honest"), 17);
});

test("createPacing() lets somebody begin while many strangers wait, and strangers never wait for ever", async () => {
  const { begun, enter, turn } = createPaced();
  for (let index = 0; index < 500; index++) enter("stranger", {});
  for (let index = 0; index < 500; index++) enter("known", {}, true);
  assert.deepEqual([begun.filter((name) => name === "known").length, begun.length], [16, 24]);
  await turn();
  assert.deepEqual([begun.filter((name) => name === "known").length, begun.length], [32, 48]);
});

test("createPacing() needs no turn while nobody asks", async () => {
  const { begun, enter, turn, turns } = createPaced();
  enter("one", {});
  assert.deepEqual(begun, ["one"]);
  await turn();
  assert.equal(turns.length, 0);
});
