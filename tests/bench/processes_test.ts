import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { test } from "node:test";
import {
  checkOpenFiles,
  parseBusySeconds,
  parseBytes,
  parseCpuSeconds,
  parseOpenFiles,
  readShares,
  readUsage,
  sharesSince,
} from "./processes.ts";

test("parseCpuSeconds() handles a command with spaces and parentheses", () => {
  const stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 101 0 0 0 250 50 7 8 20 0 1 0 1872280";
  assert.equal(parseCpuSeconds(stat), 3);
});

test("parseBusySeconds() counts the time of processes and interrupts, but no waiting", () => {
  const stat = "cpu  100 20 300 9000 800 5 15 60 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
  assert.equal(parseBusySeconds(stat), 4.4);
});

test("readShares() splits the time of a process by thread, and the shares add up", () => {
  const before = readShares(process.pid);
  const used = readUsage([process.pid]);
  const after = readShares(process.pid);
  const { main, pool, v8, others } = before;
  // Less than a tick, because sums of seconds are rounded.
  assert.ok(main > 0 && main + pool + v8 + others < used.cpuSeconds + 0.001);
  const since = sharesSince(before, after);
  for (const key of ["main", "pool", "v8", "clients"] as const) {
    assert.ok(since[key] >= 0 && since[key] <= after[key], key);
  }
});

test("parseBytes() reads one line of a status, and returns 0 for a missing line", () => {
  const status = "Name:\tnode\nVmHWM:\t  153136 kB\nVmRSS:\t    2048 kB\n";
  assert.equal(parseBytes(status, "VmRSS"), 2 * 1024 * 1024);
  assert.equal(parseBytes(status, "VmSwap"), 0);
});

test("parseOpenFiles() reads the hard limit, which may be unlimited", () => {
  const formatLimits = (hard: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     \n` +
    `Max processes             95820                95820                processes \n` +
    `Max open files            1024                 ${hard}              files     \n`;
  assert.equal(parseOpenFiles(formatLimits("524288")), 524_288);
  assert.equal(parseOpenFiles(formatLimits("unlimited")), Infinity);
  assert.throws(() => parseOpenFiles("Limit\n"), /open files/);
});

test("checkOpenFiles() reports the wanted and the allowed number, and the remedy", () => {
  checkOpenFiles(1);
  assert.throws(() => checkOpenFiles(1e12), /1000000000000 connections take .* allows a program \d+: .*--scale/);
});

/** A script that uses some processor time, prints a line, and waits for the end of its input. */
const BUSY_THEN_IDLE = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo ready; read _";

test("readUsage() adds up processes", async () => {
  // Run in a separate process, because children of other tests may end in this one at any time.
  const still = spawn("sh", ["-c", BUSY_THEN_IDLE]);
  const ended = once(still, "close");
  try {
    await once(still.stdout, "data");
    const pid = still.pid!;
    const single = readUsage([pid]);
    const twice = readUsage([pid, pid]);
    assert.ok(single.residentBytes > 1e6 && single.peakBytes > 1e6);
    assert.ok(single.cpuSeconds > 0);
    assert.ok(twice.residentBytes > 1.5 * single.residentBytes);
    assert.ok(twice.cpuSeconds >= 2 * single.cpuSeconds);
  } finally {
    still.stdin.end();
    await ended;
  }
});
