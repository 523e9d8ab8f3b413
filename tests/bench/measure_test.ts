import assert from "node:assert/strict";
import { test } from "node:test";
import { measure, rotate } from "./measure.ts";
import type { Program } from "./program.ts";
import type { Scenario } from "./scenario.ts";

const PROGRAM: Program = {
  run: () => Promise.reject(new Error("is not run")),
  start: () => {
    throw new Error("is not started");
  },
};

test("rotate() begins with another element each time", () => {
  const items = ["a", "b", "c"];
  assert.deepEqual([0, 1, 2, 3].map((by) => rotate(items, by).join("")), ["abc", "bca", "cab", "abc"]);
});

test("measure() runs both sides in every round, each first in turn, and sorts readings by line", async () => {
  const { scenario, acted } = createScenario({});
  const measured = await measure(scenario, { rounds: 3, program: PROGRAM, progress: () => {} });
  assert.deepEqual(acted, ["ours", "peer", "peer", "ours", "ours", "peer"]);
  assert.deepEqual(measured.map(({ line }) => line.what), ["one", "two"]);
  const [first, second] = measured;
  assert.deepEqual(first?.ours.map(({ value }) => value), [1, 4, 5]);
  assert.deepEqual(second?.ours.map(({ value }) => value), [-1, -4, -5]);
  assert.deepEqual(first?.theirs.map(({ value }) => value), [2, 3, 6]);
});

test("measure() repeats short scenarios more often, and fails with a run that fails", async () => {
  const { scenario, acted } = createScenario({ runsPerRound: 2 });
  await measure(scenario, { rounds: 2, program: PROGRAM, progress: () => {} });
  assert.equal(acted.length, 8);
  const failing: Scenario = { ...scenario, theirs: () => Promise.reject(new Error("no peer")) };
  await assert.rejects(measure(failing, { rounds: 1, program: PROGRAM, progress: () => {} }), /no peer/);
});

/** Creates a scenario whose runs return their number, and its negative for the second line. */
function createScenario(edit: Partial<Scenario>): { readonly scenario: Scenario; readonly acted: readonly string[] } {
  const acted: string[] = [];
  const act = (who: string) => {
    acted.push(who);
    return Promise.resolve({ one: { value: acted.length }, two: { value: -acted.length } });
  };
  const createLine = (what: string) => ({ what, unit: "s", peer: "peer" }) as const;
  const lines = { one: createLine("one"), two: createLine("two") };
  return { scenario: { lines, ours: () => act("ours"), theirs: () => act("peer"), ...edit }, acted };
}
