import assert from "node:assert/strict";
import { test } from "node:test";
import { createTally, findShortfalls, formatTally } from "./attack.ts";

const ATTACK = { unit: "pieces", required: { opened: 1_000, sent: 20 } };

for (
  const { name, tally, scale, want } of [
    { name: "every required count", tally: { opened: 1_000, sent: 20 }, scale: 1, want: [] },
    { name: "its share at a smaller scale", tally: { opened: 50, sent: 1 }, scale: 0.05, want: [] },
    {
      name: "one connection too few",
      tally: { opened: 999, sent: 20 },
      scale: 1,
      want: ["nothing is proved: 999 opened, 1000 are required"],
    },
    {
      name: "nothing, where a share is less than one",
      tally: { opened: 1 },
      scale: 0.001,
      want: ["nothing is proved: 0 pieces sent, 1 are required"],
    },
  ]
) {
  test(`findShortfalls() finds ${want.length === 0 ? "nothing" : "a fault"} with ${name}`, () => {
    assert.deepEqual(findShortfalls(ATTACK, { ...createTally(), ...tally }, scale), want);
  });
}

test("formatTally() lists the counts that are not zero", () => {
  assert.equal(
    formatTally("pieces", { ...createTally(), opened: 10_000, sent: 3, ended: 9_000 }),
    "10,000 opened, 3 pieces, 9,000 ended",
  );
});
