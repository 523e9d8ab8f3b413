import assert from "node:assert/strict";
import { test } from "node:test";
import { type CpuProfile, findHotspots } from "./profile.ts";

const frame = (functionName: string, url = "", lineNumber = -1) => ({ functionName, url, lineNumber });

/** A profile in which serve calls read, which calls itself, with a package and the garbage collector. */
const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 5, 6, 7] },
    { id: 2, callFrame: frame("serve", "file:///code/server/app.ts", 9), children: [3] },
    { id: 3, callFrame: frame("read", "file:///code/core/read.ts", 0), children: [4] },
    { id: 4, callFrame: frame("read", "file:///code/core/read.ts", 0) },
    { id: 5, callFrame: frame("(garbage collector)") },
    { id: 6, callFrame: frame("", "file:///code/node_modules/.deno/hono@4/node_modules/hono/dist/compose.js", 3) },
    { id: 7, callFrame: frame("(idle)") },
  ],
  samples: [2, 3, 4, 4, 5, 6, 7, 7],
  timeDeltas: [1000, 1000, 1000, 1000, 500, 250, 4000, 4000],
};

test("findHotspots() separates the time of a function itself from the time with its callees", () => {
  const { self, inclusive } = findHotspots(PROFILE, "/code");
  assert.deepEqual(self, [
    ["read core/read.ts:1", 3],
    ["serve server/app.ts:10", 1],
    ["(garbage collector)", 0.5],
    ["(anonymous) npm:hono/dist/compose.js:4", 0.25],
  ]);
  assert.deepEqual(inclusive.slice(0, 2), [["serve server/app.ts:10", 4], ["read core/read.ts:1", 3]]);
});

test("findHotspots() adds up the time by file, and counts idle time separately", () => {
  const { busyMs, idleMs, files } = findHotspots(PROFILE, "/code");
  assert.deepEqual([busyMs, idleMs], [4.75, 8]);
  assert.deepEqual(files[0], ["core/read.ts", 3]);
});
