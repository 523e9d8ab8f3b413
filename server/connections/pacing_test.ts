import assert from "node:assert/strict";
import { test } from "node:test";
import { createPacing } from "./pacing.ts";

/** Creates pacing whose turns the test runs. */
function createPaced() {
  const turns: (() => void)[] = [];
  const pacing = createPacing((run) => turns.push(run));
  const begun: string[] = [];
  return {
    begun,
    turns,
    enter(name: string, connection: object, isKnown = false) {
      const place = pacing.schedule(connection, isKnown);
      if (place === undefined) begun.push(name);
      else void place.turn.then(() => begun.push(name));
      return place;
    },
    accepted: () => pacing.connectionAccepted(),
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

test("createPacing() serves authenticated requests while many unauthenticated ones wait, and these never starve", async () => {
  const { begun, enter, turn } = createPaced();
  for (let index = 0; index < 500; index++) enter("unauthenticated", {});
  for (let index = 0; index < 500; index++) enter("known", {}, true);
  assert.deepEqual([begun.filter((name) => name === "known").length, begun.length], [16, 24]);
  await turn();
  assert.deepEqual([begun.filter((name) => name === "known").length, begun.length], [32, 48]);
});

test("createPacing() releases a cancelled request at once, and does not use up a turn", async () => {
  const { begun, enter, turn } = createPaced();
  const [flood, honest] = [{}, {}];
  const places = Array.from({ length: 1_000 }, () => enter("flood", flood));
  enter("honest", honest);
  for (const place of places) place?.cancel();
  await Promise.resolve();
  assert.equal(begun.filter((name) => name === "flood").length, 1_000);
  assert.ok(!begun.includes("honest"));
  await turn();
  assert.equal(begun.at(-1), "honest");
});

test("createPacing() schedules no turn without requests", async () => {
  const { begun, enter, turn, turns } = createPaced();
  enter("one", {});
  assert.deepEqual(begun, ["one"]);
  await turn();
  assert.equal(turns.length, 0);
});

test("createPacing() begins few requests while connections arrive, and all others afterwards", async () => {
  const { begun, turns, accepted, enter, turn } = createPaced();
  const come = async (): Promise<void> => {
    accepted();
    await turn();
  };
  await come();
  for (let index = 0; index < 500; index++) enter("unauthenticated", {});
  for (let index = 0; index < 500; index++) enter("known", {}, true);
  assert.deepEqual(begun, []);
  for (let more = 1; more < 64; more++) await come();
  const count = (name: string) => begun.filter((one) => one === name).length;
  assert.deepEqual([count("known"), count("unauthenticated")], [16, 4]);
  await turn();
  assert.deepEqual([count("known"), count("unauthenticated")], [32, 12]);
  for (let more = 0; more < 100; more++) await turn();
  assert.deepEqual([count("known"), count("unauthenticated")], [500, 500]);
  assert.equal(turns.length, 0);
});

test("createPacing() begins a request at once when the last connection arrived two turns ago", async () => {
  const { begun, turns, accepted, enter, turn } = createPaced();
  accepted();
  await turn();
  await turn();
  enter("one", {}, true);
  assert.deepEqual(begun, ["one"]);
  await turn();
  assert.equal(turns.length, 0);
});
