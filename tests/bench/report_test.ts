import assert from "node:assert/strict";
import { test } from "node:test";
import type { Measured } from "./measure.ts";
import { createLineReport, formatNumber, formatRetries, formatRounds, LINES_HEAD, toRow } from "./report.ts";
import { type Aim, AIMS, atLeastTimes, atMost, atMostTimes, formatVerdict } from "./aims.ts";

test("createLineReport() takes medians of the numbers and of the servers' usage", () => {
  const report = createLineReport(measured(atMost(2, "s")));
  assert.equal(report.ours.median, 2);
  assert.equal(report.theirs.median, 10);
  assert.equal(report.ratio, 0.2);
  assert.equal(report.ours.cpuSeconds, 0.5);
  assert.equal(report.ours.residentMegabytes, 90);
  assert.equal(report.ours.bodyMegabytes, 1.5);
  assert.equal(report.theirs.cpuSeconds, undefined);
  assert.equal(report.verdict, "met");
});

test("formatVerdict() meets an aim at its limit, and reports the more ambitious aim", () => {
  const cases: readonly (readonly [Aim, number, number, string])[] = [
    [atMost(2, "s"), 2, 0, "met"],
    [atMost(2, "s"), 2.01, 0, "missed"],
    [atLeastTimes(2), 4, 2, "met"],
    [atLeastTimes(2), 3.99, 2, "missed"],
    [atMostTimes(0.25), 1, 4, "met"],
    [atMostTimes(0.25), 1.01, 4, "missed"],
    [AIMS.sqlite.create, 1.49, 1, "missed"],
    [AIMS.sqlite.create, 1.5, 1, "met"],
    [AIMS.sqlite.create, 1.8, 1, "beyond it"],
    [AIMS.sqlite.storm, 0.56, 1, "beyond it"],
  ];
  for (const [aim, ours, theirs, verdict] of cases) assert.equal(formatVerdict(aim, ours, theirs), verdict);
  assert.equal(formatVerdict(undefined, 1, 2), "");
});

test("toRow() returns a cell for each column, with our value before the peer's and all rounds", () => {
  const row = toRow(createLineReport(measured(atMost(1, "s"))));
  assert.equal(row.length, LINES_HEAD.length);
  assert.deepEqual(row, [
    ...["storm", "2.00 s (3.00, 1.00, 2.00), 1.50 MB", "10.0 s (10.0, 10.0), 3 retries", "0.20 ×"],
    ...["1 s", "–", "missed", "0.50 / –", "–", "90 / –", "100 / –", "a peer"],
  ]);
  const aimed = toRow(createLineReport(measured(AIMS.sqlite.storm)));
  assert.deepEqual(aimed.slice(4, 7), ["0.68 ×", "0.56 ×", "beyond it"]);
  const without = toRow(createLineReport(measured(undefined)));
  assert.deepEqual(without.slice(4, 7), ["–", "–", ""]);
});

test("toRow() includes etcd's part of the CPU", () => {
  const usage = { cpuSeconds: 0.5, residentBytes: 90e6, peakBytes: 100e6 };
  const etcd = { cpuSeconds: 0.2, residentBytes: 30e6, peakBytes: 40e6 };
  const { line } = measured(undefined);
  const row = toRow(createLineReport({ line, ours: [{ value: 1, usage, etcd }], theirs: [{ value: 1, usage }] }));
  assert.deepEqual(row.slice(7, 11), ["0.50 / 0.50", "0.20 / –", "90 / 90", "100 / 100"]);
});

test("formatNumber() keeps three significant digits", () => {
  assert.deepEqual([0.123, 1.234, 12.34, 123.4, 1234.5].map(formatNumber), ["0.12", "1.23", "12.3", "123", "1235"]);
});

test("formatRetries() is empty without retries", () => {
  assert.deepEqual([0, 0.5, 5000].map(formatRetries), ["", "0.50", "5000"]);
});

test("formatRounds() does not call one round a median", () => {
  assert.deepEqual([1, 5].map(formatRounds), ["One round.", "Medians of 5 rounds."]);
});

function measured(aim: Aim | undefined): Measured {
  const usage = { cpuSeconds: 0.5, residentBytes: 90e6, peakBytes: 100e6 };
  return {
    line: { what: "storm", unit: "s", peer: "a peer", aim },
    ours: [3, 1, 2].map((value) => ({ value, bytes: 1.5e6, usage })),
    theirs: [{ value: 10, retries: 2 }, { value: 10, retries: 1 }],
  };
}
