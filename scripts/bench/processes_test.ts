import assert from "node:assert/strict";
import process from "node:process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { bytesIn, cpuSecondsIn, usageOf } from "./processes.ts";

test("cpuSecondsIn() counts behind a command that has spaces and parentheses", () => {
  const stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 101 0 0 0 250 50 7 8 20 0 1 0 1872280";
  assert.equal(cpuSecondsIn(stat), 3);
});

test("bytesIn() reads one line of a status, and 0 when it is not there", () => {
  const status = "Name:\tnode\nVmHWM:\t  153136 kB\nVmRSS:\t    2048 kB\n";
  assert.equal(bytesIn(status, "VmRSS"), 2 * 1024 * 1024);
  assert.equal(bytesIn(status, "VmSwap"), 0);
});

test("usageOf() sums processes", () => {
  // Only Linux has what it reads; elsewhere the benchmarks say so before they begin.
  if (!existsSync("/proc/self/stat")) return;
  const once = usageOf([process.pid]);
  const twice = usageOf([process.pid, process.pid]);
  assert.ok(once.residentBytes > 1e6 && once.peakBytes > 1e6);
  assert.ok(twice.residentBytes > 1.5 * once.residentBytes);
  assert.ok(twice.cpuSeconds >= 2 * once.cpuSeconds);
});
