import assert from "node:assert/strict";
import { test } from "node:test";
import { getPairStatus } from "./pair_status.ts";

const HOUR = 3_600_000;
const START = new Date("2026-01-01T00:00:00Z");
const LEAF = { notBefore: START, notAfter: new Date(START.getTime() + 10 * HOUR) };

for (
  const { hours, want } of [
    { hours: -1, want: "notYetValid" },
    { hours: 0, want: "valid" },
    { hours: 8.9, want: "valid" },
    { hours: 9, want: "renewalDue" },
    { hours: 10, want: "renewalDue" },
    { hours: 10.1, want: "expired" },
  ]
) {
  test(`getPairStatus() is ${want} after ${hours} of 10 hours`, () => {
    const status = getPairStatus(LEAF, new Date(START.getTime() + hours * HOUR));
    assert.deepEqual(status, {
      state: want,
      renewalFrom: new Date(START.getTime() + 7 * HOUR),
      renewalBy: new Date(START.getTime() + 9 * HOUR),
    });
  });
}
