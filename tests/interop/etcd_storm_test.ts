/**
 * A storm of nodes over three servers on an etcd of three members, behind a load balancer, while one server and one
 * member are killed every few seconds: `deno task torture --servers 3`, which reports losses. `TLSBOOT_STORM_NODES=1000`
 * is the whole one.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { NODE_FLAGS, start } from "../support/child.ts";

const NODES = Number(process.env["TLSBOOT_STORM_NODES"] ?? "200");
/**
 * The seconds of kills; each node is given a last pair afterwards. The more nodes, the longer each list and start
 * takes.
 */
const SECONDS = Math.ceil(30 + NODES / 20);
const FLAGS = { servers: 3, nodes: NODES, seconds: SECONDS, seed: 8 };

test(`a storm of ${NODES} nodes over three servers loses nothing while servers and etcd members are killed`, async () => {
  const node = await ensureNode();
  const flags = Object.entries(FLAGS).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  await using storm = start(node, [...NODE_FLAGS, join("tests", "torture", "storm_process.ts"), ...flags]);
  const { code, stdout, stderr } = await storm.finished();
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, new RegExp(`; ${NODES} of ${NODES} nodes with a working pair; nothing lost\n$`));
  const { kills, certificates } =
    /; (?<kills>\d+) kills \(.*; (?<certificates>\d+) certificates/.exec(stdout)?.groups ??
      {};
  assert.ok(Number(certificates) >= NODES, stdout);
  assert.ok(Number(kills) >= 2, stdout);
});
