import assert from "node:assert/strict";
import { test } from "node:test";
import { measure, runRounds } from "./measure.ts";
import type { Program } from "./program.ts";
import type { Scenario } from "./scenario.ts";

const PROGRAM: Program = {
  run: () => Promise.reject(new Error("is not run")),
  start: () => {
    throw new Error("is not started");
  },
};

test("runRounds() begins each round with a different side", async () => {
  const begun: string[] = [];
  const sides = ["a", "b", "c"].map((name) => ({ name, run: () => Promise.resolve(begun.push(name)) }));
  assert.deepEqual(await runRounds(sides, 4, () => {}), [[1, 6, 8, 10], [2, 4, 9, 11], [3, 5, 7, 12]]);
  assert.equal(begun.join(""), "abcbcacababc");
});

test("measure() runs both sides in every round in alternating order, and groups readings by line", async () => {
  const { scenario, acted } = createScenario({});
  const measured = await measure(scenario, PROGRAM, 3, () => {});
  assert.deepEqual(acted, ["ours", "peer", "peer", "ours", "ours", "peer"]);
  assert.deepEqual(measured.map(({ line }) => line.what), ["one", "two"]);
  const [first, second] = measured;
  assert.deepEqual(first?.ours.map(({ value }) => value), [1, 4, 5]);
  assert.deepEqual(second?.ours.map(({ value }) => value), [-1, -4, -5]);
  assert.deepEqual(first?.theirs.map(({ value }) => value), [2, 3, 6]);
});

test("measure() fails if a run fails", async () => {
  const { scenario } = createScenario({ theirs: () => Promise.reject(new Error("no peer")) });
  await assert.rejects(measure(scenario, PROGRAM, 1, () => {}), /no peer/);
});

/** Creates a scenario whose runs return the number of the run, and its negative for the second line. */
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
