import assert from "node:assert/strict";
import process from "node:process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { bytesIn, checkOpenFiles, cpuSecondsIn, openFilesIn, usageOf } from "./processes.ts";

test("cpuSecondsIn() counts behind a command that has spaces and parentheses", () => {
  const stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 101 0 0 0 250 50 7 8 20 0 1 0 1872280";
  assert.equal(cpuSecondsIn(stat), 3);
});

test("bytesIn() reads one line of a status, and 0 when it is not there", () => {
  const status = "Name:\tnode\nVmHWM:\t  153136 kB\nVmRSS:\t    2048 kB\n";
  assert.equal(bytesIn(status, "VmRSS"), 2 * 1024 * 1024);
  assert.equal(bytesIn(status, "VmSwap"), 0);
});

test("openFilesIn() reads the hard limit, which may be none", () => {
  const limitsOf = (hard: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     \n` +
    `Max processes             95820                95820                processes \n` +
    `Max open files            1024                 ${hard}              files     \n`;
  assert.equal(openFilesIn(limitsOf("524288")), 524_288);
  assert.equal(openFilesIn(limitsOf("unlimited")), Infinity);
  assert.throws(() => openFilesIn("Limit\n"), /open files/);
});

test("checkOpenFiles() says what is wanted, what is allowed and what to do", () => {
  if (!existsSync("/proc/self/limits")) return;
  checkOpenFiles(1);
  assert.throws(() => checkOpenFiles(1e12), /1000000000000 connections take .* allows a program \d+: .*--scale/);
});

test("usageOf() sums processes", () => {
  // Only Linux has what it reads; elsewhere the benchmarks say so before they begin.
  if (!existsSync("/proc/self/stat")) return;
  const once = usageOf([process.pid]);
  const twice = usageOf([process.pid, process.pid]);
  assert.ok(once.residentBytes > 1e6 && once.peakBytes > 1e6);
  // Children of other tests may end between the two.
  assert.ok(twice.residentBytes > 1.5 * once.residentBytes);
  assert.ok(twice.cpuSeconds > 1.5 * once.cpuSeconds);
});
