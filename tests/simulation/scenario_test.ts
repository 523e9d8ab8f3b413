import assert from "node:assert/strict";
import { test } from "node:test";
import { measureCalm } from "./faults.ts";
import { createScenario, describeScenario, type Scenario, shrinkScenario } from "./scenario.ts";

const SETTINGS = { seed: 5, hours: 2, lifetime: 1, nodes: 4, servers: 3, clients: 2, revokers: 1 };

test("createScenario() draws the same faults from the same seed, and ends them before the quiet period", () => {
  const scenario = createScenario(SETTINGS, 200);
  assert.deepEqual(createScenario(SETTINGS, 200), scenario);
  assert.notDeepEqual(createScenario({ ...SETTINGS, seed: 6 }, 200).faults, scenario.faults);
  assert.equal(new Set(scenario.faults.map(({ kind }) => kind)).size, 12);
  for (const fault of scenario.faults) {
    const forMs = "forMs" in fault ? fault.forMs : 0;
    assert.ok(fault.atMs + forMs <= 2 * 3_600_000 - 1_200_000, JSON.stringify(fault));
  }
});

test("shrinkScenario() keeps the faults and hosts without which the run would not fail", async () => {
  const scenario = createScenario(SETTINGS, 60);
  const [first, second] = [scenario.faults[17]!, scenario.faults[41]!];
  let runs = 0;
  const fails = ({ faults, nodes }: Scenario): Promise<boolean> => {
    runs++;
    return Promise.resolve(faults.includes(first) && faults.includes(second) && nodes >= 2);
  };
  const shortest = await shrinkScenario(scenario, fails, 200);
  assert.deepEqual(shortest.faults, [first, second]);
  assert.ok(shortest.nodes >= 2 && shortest.nodes < 4, `${shortest.nodes}`);
  assert.ok(shortest.hours <= 0.5 && runs < 100, `${shortest.hours} hours after ${runs} runs`);
  assert.equal(await shrinkScenario(scenario, () => Promise.resolve(false)), scenario);
});

test("describeScenario() describes a run with one sentence per line", () => {
  const scenario: Scenario = {
    ...SETTINGS,
    nodes: 1,
    faults: [
      { atMs: 61_000, afterLines: 3, kind: "power", host: "server-1", forMs: 5_300 },
      { atMs: 62_000, afterLines: 1, kind: "clock", host: "node-0", byMs: -3_600_000, forMs: 10_000 },
      { atMs: 90_000, afterLines: 2, kind: "lostAnswers", host: "server-2", count: 1 },
    ],
  };
  const [first, second] = scenario.faults;
  assert.deepEqual(describeScenario(scenario, new Map([[first!, 61_500], [second!, 62_020]])), [
    "Seed 5: 3 servers on an etcd of three members, 1 node and 2 clients, for 2.0 hours.",
    "1 more client revokes credentials.",
    "At 0d00:01:01.500, server-1 loses power and what it has not synced; it starts again after 5.3 s.",
    "At 0d00:01:02.020, the clock of node-0 is set 60 minutes back for 10.0 s.",
    "1 fault did not happen in time.",
  ]);
});

for (
  const { name, periods, want } of [
    { name: "no fault", periods: [], want: 100 },
    { name: "a fault in the middle", periods: [[140, 170]], want: 40 },
    { name: "a fault that began before", periods: [[0, 130]], want: 70 },
    { name: "a fault that ends after", periods: [[110, 300]], want: 10 },
    { name: "two overlapping faults", periods: [[130, 150], [120, 180]], want: 20 },
    { name: "a fault for the whole time", periods: [[0, 300]], want: 0 },
  ]
) {
  test(`measureCalm() measures ${name}`, () => {
    assert.equal(measureCalm(periods.map(([fromMs = 0, untilMs = 0]) => ({ fromMs, untilMs })), 100, 200), want);
  });
}
