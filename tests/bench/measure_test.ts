import assert from "node:assert/strict";
import { test } from "node:test";
import { measure, rotate } from "./measure.ts";
import type { Program } from "./program.ts";
import { always, type Scenario } from "./scenario.ts";

const [SOURCES, FILE] = (["sources", "file"] as const).map((form): Program => ({
  form,
  run: () => Promise.reject(new Error("is not run")),
  start: () => {
    throw new Error("is not started");
  },
})) as [Program, Program];

test("rotate() begins with another element each time", () => {
  const items = ["a", "b", "c"];
  assert.deepEqual([0, 1, 2, 3].map((by) => rotate(items, by).join("")), ["abc", "bca", "cab", "abc"]);
});

test("measure() runs every side in every round, each first in turn, and sorts readings by line", async () => {
  const { scenario, acted } = createScenario({});
  const measured = await measure(scenario, { rounds: 3, programs: [SOURCES, FILE], progress: () => {} });
  assert.deepEqual(acted, [
    ...["sources", "file", "peer"],
    ...["file", "peer", "sources"],
    ...["peer", "sources", "file"],
  ]);
  assert.deepEqual(measured.map(({ line, form }) => `${line.what} ${form}`), [
    ...["one sources", "two sources", "one file", "two file"],
  ]);
  const [first, second] = measured;
  assert.deepEqual(first?.ours.map(({ value }) => value), [1, 6, 8]);
  assert.deepEqual(second?.ours.map(({ value }) => value), [-1, -6, -8]);
  assert.deepEqual(first?.theirs.map(({ value }) => value), [3, 5, 7]);
});

test("measure() skips a form that a scenario does not have, and the peer too when no form remains", async () => {
  const one = createScenario({ forms: ["sources"] });
  const options = { rounds: 1, progress: () => {} };
  assert.equal((await measure(one.scenario, { ...options, programs: [SOURCES, FILE] })).length, 2);
  assert.deepEqual(one.acted, ["sources", "peer"]);
  const none = createScenario({ forms: ["sources"] });
  assert.deepEqual(await measure(none.scenario, { ...options, programs: [FILE] }), []);
  assert.deepEqual(none.acted, []);
});

test("measure() repeats short scenarios more often, and fails with a run that fails", async () => {
  const { scenario, acted } = createScenario({ runsPerRound: 2 });
  await measure(scenario, { rounds: 2, programs: [FILE], progress: () => {} });
  assert.equal(acted.length, 8);
  const failing: Scenario = { ...scenario, theirs: () => Promise.reject(new Error("no peer")) };
  await assert.rejects(measure(failing, { rounds: 1, programs: [FILE], progress: () => {} }), /no peer/);
});

/** Creates a scenario whose runs return their number, and its negative for the second line. */
function createScenario(edit: Partial<Scenario>): { readonly scenario: Scenario; readonly acted: readonly string[] } {
  const acted: string[] = [];
  const act = (who: string) => {
    acted.push(who);
    return Promise.resolve({ one: { value: acted.length }, two: { value: -acted.length } });
  };
  const createLine = (what: string) => ({ what, unit: "s", peer: "peer", findAim: always(undefined) }) as const;
  const lines = { one: createLine("one"), two: createLine("two") };
  return { scenario: { lines, ours: ({ form }) => act(form), theirs: () => act("peer"), ...edit }, acted };
}
