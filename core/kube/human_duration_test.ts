import assert from "node:assert/strict";
import { test } from "node:test";
import { formatHumanDuration } from "./human_duration.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

for (
  const [ms, want] of [
    [-2 * SECOND, "<invalid>"],
    [-1999, "0s"],
    [-1, "0s"],
    [0, "0s"],
    [999, "0s"],
    [119 * SECOND, "119s"],
    [2 * MINUTE, "2m"],
    [2 * MINUTE + SECOND, "2m1s"],
    [10 * MINUTE - 1, "9m59s"],
    [10 * MINUTE, "10m"],
    [HOUR, "60m"],
    [3 * HOUR - 1, "179m"],
    [3 * HOUR, "3h"],
    [3 * HOUR + MINUTE, "3h1m"],
    [8 * HOUR - 1, "7h59m"],
    [8 * HOUR, "8h"],
    [DAY, "24h"],
    [2 * DAY - 1, "47h"],
    [2 * DAY, "2d"],
    [2 * DAY + HOUR, "2d1h"],
    [7 * DAY, "7d"],
    [8 * DAY - 1, "7d23h"],
    [8 * DAY, "8d"],
    [YEAR, "365d"],
    [2 * YEAR - 1, "729d"],
    [2 * YEAR, "2y"],
    [2 * YEAR + DAY, "2y1d"],
    [8 * YEAR - 1, "7y364d"],
    [8 * YEAR, "8y"],
  ] as const
) {
  test(`formatHumanDuration() prints ${ms} ms as ${want}`, () => assert.equal(formatHumanDuration(ms), want));
}
