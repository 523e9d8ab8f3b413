import assert from "node:assert/strict";
import { test } from "node:test";
import type { Measured } from "./measure.ts";
import {
  createLineReport,
  ETCD_LINES_HEAD,
  formatCount,
  formatNumber,
  formatRetries,
  LINES_HEAD,
  toEtcdRow,
  toRow,
} from "./report.ts";
import { aheadOfPeer, type Aim, atLeastTimes, atMost, atMostTimes } from "./scenario.ts";

test("createLineReport() takes medians of the numbers and of the servers' usage", () => {
  const report = createLineReport(measured(atMost(2, "2 s")));
  assert.equal(report.ours.median, 2);
  assert.equal(report.theirs.median, 10);
  assert.equal(report.ratio, 0.2);
  assert.equal(report.ours.cpuSeconds, 0.5);
  assert.equal(report.ours.residentMegabytes, 90);
  assert.equal(report.ours.bodyMegabytes, 1.5);
  assert.equal(report.theirs.cpuSeconds, undefined);
  assert.equal(report.isMet, true);
});

test("an aim is met at its limit, and being ahead is more than being equal", () => {
  const cases: readonly (readonly [Aim, number, number, boolean])[] = [
    [atMost(2, ""), 2, 0, true],
    [atMost(2, ""), 2.01, 0, false],
    [atLeastTimes(2), 4, 2, true],
    [atLeastTimes(2), 3.99, 2, false],
    [atMostTimes(0.25, ""), 1, 4, true],
    [atMostTimes(0.25, ""), 1.01, 4, false],
    [aheadOfPeer(""), 5, 4, true],
    [aheadOfPeer(""), 4, 4, false],
  ];
  for (const [aim, ours, theirs, isMet] of cases) assert.equal(aim.isMet(ours, theirs), isMet);
});

test("toRow() has a cell for each column, ours before the peer's", () => {
  const row = toRow(createLineReport(measured(atMost(1, "1 s"))));
  assert.equal(row.length, LINES_HEAD.length);
  assert.deepEqual(row, [
    ...["storm", "2.00 s (1.00–3.00), 1.50 MB", "10.0 s (10.0–10.0), 3 retries", "0.20 ×", "1 s", "missed"],
    ...["0.50 / –", "90 / –", "100 / –", "a peer"],
  ]);
  const without = toRow(createLineReport(measured(undefined)));
  assert.deepEqual(without.slice(4, 6), ["–", ""]);
});

test("toEtcdRow() has etcd's part beside each total", () => {
  const usage = { cpuSeconds: 0.5, residentBytes: 90e6, peakBytes: 100e6 };
  const etcd = { cpuSeconds: 0.2, residentBytes: 30e6, peakBytes: 40e6 };
  const { line } = measured(undefined);
  const report = createLineReport({ line, ours: [{ value: 1, usage, etcd }], theirs: [{ value: 1, usage }] });
  const row = toEtcdRow(report);
  assert.equal(row.length, ETCD_LINES_HEAD.length);
  assert.deepEqual(row.slice(6, 12), ["0.50 / 0.50", "0.20 / –", "90 / 90", "30 / –", "100 / 100", "40 / –"]);
  assert.deepEqual(toRow(report).slice(6, 9), ["0.50 / 0.50", "90 / 90", "100 / 100"]);
});

test("formatNumber() keeps three digits that count", () => {
  assert.deepEqual([0.123, 1.234, 12.34, 123.4, 1234.5].map(formatNumber), ["0.12", "1.23", "12.3", "123", "1235"]);
});

test("formatRetries() is empty without retries", () => {
  assert.deepEqual([0, 0.5, 5000].map(formatRetries), ["", "0.50", "5000"]);
});

test("formatCount() distinguishes one from many", () => {
  assert.deepEqual([formatCount(1, "round"), formatCount(3, "round")], ["1 round", "3 rounds"]);
});

function measured(aim: Aim | undefined): Measured {
  const usage = { cpuSeconds: 0.5, residentBytes: 90e6, peakBytes: 100e6 };
  return {
    line: { what: "storm", unit: "s", peer: "a peer", aim },
    ours: [3, 1, 2].map((value) => ({ value, bytes: 1.5e6, usage })),
    theirs: [{ value: 10, retries: 2 }, { value: 10, retries: 1 }],
  };
}
