/**
 * A power failure at many places of what real programs write: everything that was acknowledged is there afterwards, and
 * the programs start. `deno task torture --power-loss` tries more places.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { NODE_FLAGS, ROOT, runProgram } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";
import { runPowerLoss, runScene } from "../torture/power_loss/run.ts";
import type { Scene } from "../torture/power_loss/scenes.ts";

const SEED = 20261128;
const quiet = { seed: SEED, scenes: [], onProgress: () => undefined };

/** The files of the product alone, without a server: few enough to cut the power at every place. */
const FILES: Scene = {
  name: "files",
  async run(disk) {
    const node = process.env["TLSBOOT_TEST_NODE"] ?? process.execPath;
    const program = join(ROOT, "tests", "support", "interop", "write_files.ts");
    const done = await runProgram(node, [...NODE_FLAGS, program, disk.root], { env: disk.env });
    assert.equal(done.code, 0, done.stderr);
    for (const under of ["new", "audit.log"]) await disk.mark(JSON.stringify({ kind: "settled", under }));
  },
  restart: () => Promise.resolve([]),
};

test("files and folders that were written or removed stay so, and a log that is compressed is never lost", async () => {
  await using folder = await createTempFolder();
  const report = await runScene(FILES, { ...quiet, folder, states: 100_000, starts: 0 });
  assert.deepEqual(report.faults, []);
  assert.ok(report.promises >= 3 && report.states > 100, JSON.stringify(report));
});

test("after a power failure everything acknowledged is there, and every program starts", async () => {
  await using folder = await createTempFolder();
  const report = await runPowerLoss({ ...quiet, folder, states: 60, starts: 2 });
  assert.deepEqual(report.faults, []);
  assert.ok(report.promises > 200 && report.states > 120 && report.starts >= 4, JSON.stringify(report));
});
