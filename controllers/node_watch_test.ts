import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../core/errors.ts";
import type { KubeObject } from "../core/kube/meta.ts";
import { createFakeClock, settle } from "../tests/support/fake_clock.ts";
import { createMemoryObjectStore } from "../tests/support/memory_object_store.ts";
import { createNodeWatch } from "./node_watch.ts";

test("createNodeWatch() knows nothing before the first listing, and says why it failed", async () => {
  const clock = createFakeClock();
  const nodes = createMemoryObjectStore<KubeObject>({ objects: [{ metadata: { name: "a" } }] });
  let isNeeded = false;
  const watch = createNodeWatch({ nodes: () => nodes, isNeeded: () => isNeeded, clock });
  const abort = new AbortController();
  nodes.failNext("changes", new AppError("access_denied", "forbidden"));
  const iterate = async () => {
    for await (const _ of watch.changes(abort.signal)) { /* until it ends */ }
  };
  const first = iterate();
  await clock.advance(5_000);
  assert.deepEqual(nodes.calls, []);
  assert.deepEqual([watch.reported().kind, watch.isStarting()], ["failed", true]);
  isNeeded = true;
  const refused = assert.rejects(first, /forbidden/);
  await clock.advance(1_000);
  await refused;
  assert.deepEqual(watch.reported(), { kind: "failed", message: "the nodes cannot be listed: forbidden" });
  assert.equal(watch.isStarting(), false);
  const second = assert.rejects(iterate());
  await settle();
  assert.equal(watch.reported().kind, "found");
  abort.abort();
  await second;
});
