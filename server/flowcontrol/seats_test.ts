import assert from "node:assert/strict";
import { test } from "node:test";
import { LEVEL_NAMES, type LevelName } from "./priority_levels.ts";
import { maySit, planSeats } from "./seats.ts";

const NOBODY = Object.fromEntries(LEVEL_NAMES.map((name) => [name, 0])) as Record<LevelName, number>;

test("planSeats() shares out kube-apiserver's 600 as it does, but for its catch-all", () => {
  assert.deepEqual(planSeats(600).of, {
    "leader-election": { nominal: 25, kept: 25 },
    "node-high": { nominal: 100, kept: 75 },
    "system": { nominal: 75, kept: 50 },
    "workload-high": { nominal: 100, kept: 50 },
    "workload-low": { nominal: 250, kept: 25 },
    "global-default": { nominal: 50, kept: 25 },
  });
});

test("maySit() lends what nobody needs, and keeps for each level what it never lends", () => {
  const seats = planSeats(600);
  let flood = 0;
  while (maySit(seats, { ...NOBODY, "global-default": flood }, "global-default")) flood++;
  assert.equal(flood, 600 - 25 - 75 - 50 - 50 - 25);
  for (const name of LEVEL_NAMES.filter((other) => other !== "global-default")) {
    assert.ok(maySit(seats, { ...NOBODY, "global-default": flood }, name), name);
  }
});

test("maySit() never leaves a level without its own seats, even of a single one", () => {
  const seats = planSeats(1);
  for (const name of LEVEL_NAMES) {
    assert.ok(maySit(seats, { ...NOBODY, "global-default": 1 }, name) === (name !== "global-default"));
  }
});

test("maySit() never seats more than there are seats, in whatever order levels fill up", () => {
  const seats = planSeats(600);
  for (const first of LEVEL_NAMES) {
    const seated = { ...NOBODY };
    for (const name of [first, ...LEVEL_NAMES]) while (maySit(seats, seated, name)) seated[name]++;
    assert.equal(Object.values(seated).reduce((sum, count) => sum + count, 0), 600, first);
    for (const name of LEVEL_NAMES) assert.ok(seated[name] >= seats.of[name].kept, name);
  }
});
