/**
 * A storm of nodes over three servers on an etcd of three members, behind a load balancer, while one server and one
 * member are killed every few seconds. `TLSBOOT_STORM_NODES=1000` is the whole one; `deno task torture --servers 3` is
 * the same for as long as is wanted.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { runStorm } from "../../scripts/torture/storm.ts";
import { createTempFolder } from "../support/temp.ts";

const NODES = Number(process.env["TLSBOOT_STORM_NODES"] ?? "200");
/** Of kills; each node is given a last pair afterwards. The more nodes, the longer each list and start takes. */
const SECONDS = 30 + NODES / 20;
const MOST_KILLS = 1_000;
const SEED = 8;

test(`a storm of ${NODES} nodes over three servers loses nothing while servers and etcd members are killed`, async () => {
  await using folder = await createTempFolder();
  const report = await runStorm({
    folder: folder.path,
    seed: SEED,
    kills: MOST_KILLS,
    seconds: SECONDS,
    nodes: NODES,
    servers: 3,
    onProgress() {},
  });
  assert.deepEqual(report.violations, []);
  assert.equal(report.pairs, NODES);
  assert.ok(report.certificates >= NODES, `${report.certificates} certificates`);
  assert.ok(report.kills >= 2, `${report.kills} kills`);
  assert.ok(report.events > 0);
});
