import { strict as assert } from "node:assert";
import { test } from "node:test";
import { isPlausibleTime, parseUtcTime } from "./plausible_clock.ts";

const BUILT = new Date("2026-11-28T12:00:00Z");

for (
  const [now, want] of [
    ["1970-01-01T00:02:11Z", false],
    ["2026-11-27T11:59:59Z", false],
    ["2026-11-27T12:00:00Z", true],
    ["2026-11-28T12:00:00Z", true],
    ["2046-11-28T12:00:00Z", true],
  ] as const
) {
  test(`isPlausibleTime() is ${want} at ${now} for a program built at ${BUILT.toISOString()}`, () => {
    assert.equal(isPlausibleTime(new Date(now), BUILT), want);
  });
}

test("parseUtcTime() reads the time of a build, and nothing else", () => {
  assert.deepEqual(parseUtcTime("2026-11-28T12:00:00Z"), BUILT);
  for (const text of ["", "unknown", "2026-11-28", "2026-13-41T12:00:00Z", "2026-11-28T12:00:00+01:00"]) {
    assert.equal(parseUtcTime(text), undefined, text);
  }
});
