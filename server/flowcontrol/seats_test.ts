import assert from "node:assert/strict";
import { test } from "node:test";
import { LEVEL_NAMES, type LevelName } from "./priority_levels.ts";
import { hasFreeSeat, planSeats } from "./seats.ts";

const NOBODY = Object.fromEntries(LEVEL_NAMES.map((name) => [name, 0])) as Record<LevelName, number>;

test("planSeats() distributes 600 seats like kube-apiserver, except for its catch-all level", () => {
  assert.deepEqual(planSeats(600).of, {
    "leader-election": { nominal: 25, kept: 25 },
    "node-high": { nominal: 100, kept: 75 },
    "system": { nominal: 75, kept: 50 },
    "workload-high": { nominal: 100, kept: 50 },
    "workload-low": { nominal: 250, kept: 25 },
    "global-default": { nominal: 50, kept: 25 },
  });
});

test("hasFreeSeat() lends free seats, and keeps for each level the seats that it never lends", () => {
  const seats = planSeats(600);
  let flood = 0;
  while (hasFreeSeat(seats, { ...NOBODY, "global-default": flood }, "global-default")) flood++;
  assert.equal(flood, 600 - 25 - 75 - 50 - 50 - 25);
  for (const name of LEVEL_NAMES.filter((other) => other !== "global-default")) {
    assert.ok(hasFreeSeat(seats, { ...NOBODY, "global-default": flood }, name), name);
  }
});

test("hasFreeSeat() always keeps a seat for each level, even with a single seat", () => {
  const seats = planSeats(1);
  for (const name of LEVEL_NAMES) {
    assert.ok(hasFreeSeat(seats, { ...NOBODY, "global-default": 1 }, name) === (name !== "global-default"));
  }
});

test("hasFreeSeat() never exceeds the number of seats, in whatever order levels fill up", () => {
  const seats = planSeats(600);
  for (const first of LEVEL_NAMES) {
    const seated = { ...NOBODY };
    for (const name of [first, ...LEVEL_NAMES]) while (hasFreeSeat(seats, seated, name)) seated[name]++;
    assert.equal(Object.values(seated).reduce((sum, count) => sum + count, 0), 600, first);
    for (const name of LEVEL_NAMES) assert.ok(seated[name] >= seats.of[name].kept, name);
  }
});
