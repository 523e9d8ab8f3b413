import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import {
  formatDuration,
  formatHumanDuration,
  formatSettingDuration,
  parseDuration,
  parseSettingDuration,
} from "./duration.ts";

for (
  const { text, want } of [
    { text: "0", want: 0 },
    { text: "10m", want: 600_000 },
    { text: "24h", want: 86_400_000 },
    { text: "8760h0m0s", want: 31_536_000_000 },
    { text: "1h30m0.5s", want: 5_400_500 },
    { text: "-1.5h", want: -5_400_000 },
    { text: "+5s", want: 5_000 },
    { text: "500ms", want: 500 },
    { text: ".5s", want: 500 },
    { text: "1µs", want: 0.001 },
    { text: "0.9ns", want: 0 },
    { text: "-9223372036854775808ns", want: -9_223_372_036_854.775 },
  ]
) {
  test(`parseDuration() reads ${text}`, () => {
    assert.deepEqual(parseDuration(text), { ok: true, value: want });
  });
}

for (
  const { text, want } of [
    { text: "", want: 'time: invalid duration ""' },
    { text: "-", want: 'time: invalid duration "-"' },
    { text: "5", want: 'time: missing unit in duration "5"' },
    { text: "1d", want: 'time: unknown unit "d" in duration "1d"' },
    { text: "h", want: 'time: invalid duration "h"' },
    { text: "3000000h", want: 'time: invalid duration "3000000h"' },
    { text: "9223372036854775808ns", want: 'time: invalid duration "9223372036854775808ns"' },
    { text: "9223372036854ms775.808µs", want: 'time: invalid duration "9223372036854ms775.808µs"' },
    { text: "1constructor", want: 'time: unknown unit "constructor" in duration "1constructor"' },
    { text: "1h3__proto__0m", want: 'time: unknown unit "__proto__" in duration "1h3__proto__0m"' },
  ]
) {
  test(`parseDuration() refuses "${text}" in Go's words`, () => {
    assert.deepEqual(parseDuration(text), { ok: false, error: want });
  });
}

for (
  const { text, want } of [
    { text: "30d", want: 2_592_000_000 },
    { text: "0d", want: 0 },
    { text: "24h", want: 86_400_000 },
    { text: "1h30m", want: 5_400_000 },
    { text: "0", want: 0 },
    { text: "-1h", want: undefined },
    { text: "-1d", want: undefined },
    { text: "10y", want: 315_360_000_000 },
    { text: "1y30d", want: 34_128_000_000 },
    { text: "1d12h", want: 129_600_000 },
    { text: "12h1d", want: undefined },
    { text: "1d1y", want: undefined },
    { text: "1d-1h", want: undefined },
    { text: "1y+1h", want: undefined },
    { text: "292y", want: 9_208_512_000_000 },
    { text: "293y", want: undefined },
    { text: "d", want: undefined },
    { text: "", want: undefined },
    { text: "1.5d", want: undefined },
    { text: "1000000d", want: undefined },
  ]
) {
  test(`parseSettingDuration() ${want === undefined ? "refuses" : "reads"} ${text}`, () => {
    const read = parseSettingDuration(text);
    assert.equal(read.ok ? read.value : undefined, want);
  });
}

for (
  const { ms, want } of [
    { ms: 0, want: "0s" },
    { ms: 20, want: "20ms" },
    { ms: 1_500, want: "1.5s" },
    { ms: 90_000, want: "1m30s" },
    { ms: 31_536_000_000, want: "8760h0m0s" },
    { ms: -60_000, want: "-1m0s" },
  ]
) {
  test(`formatDuration() prints ${want}`, () => assert.equal(formatDuration(ms), want));
}

test("parseDuration() reads the output of formatDuration()", () => {
  fc.assert(fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
    const read = parseDuration(formatDuration(ms));
    assert.ok(read.ok && Math.abs(read.value - ms) < 0.01);
  }));
});

test("parseDuration() never throws", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseDuration(text)));
});

for (
  const { ms, want } of [
    { ms: 0, want: "0s" },
    { ms: 90_000, want: "1m30s" },
    { ms: 86_399_000, want: "23h59m59s" },
    { ms: 86_400_000, want: "1d" },
    { ms: 90 * 86_400_000, want: "90d" },
    { ms: 25 * 3_600_000, want: "25h0m0s" },
    { ms: 3650 * 86_400_000, want: "10y" },
  ]
) {
  test(`formatSettingDuration() prints ${ms} ms as ${want}, which parseSettingDuration() reads`, () => {
    assert.equal(formatSettingDuration(ms), want);
    assert.deepEqual(parseSettingDuration(want), { ok: true, value: ms });
  });
}

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
