import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createCsrIndex, createNodeWatch } from "./indexes.ts";

const approved = (name: string, username: string) => buildCsr({ name, username, conditions: [condition("Approved")] });

test("createCsrIndex() lists the approved requests of each requester, also after a watch that broke", async () => {
  const store = createMemoryObjectStore<CertificateSigningRequest>({
    objects: [await approved("a1", "a"), await buildCsr({ name: "a2", username: "a" }), await approved("b1", "b")],
  });
  const index = createCsrIndex(store);
  const listNames = (username: string) => [...index.listApproved(username)].map(getName);
  const abort = new AbortController();
  const follow = async () => {
    for await (const _ of index.changes(abort.signal)) { /* recorded by the index */ }
  };
  const first = assert.rejects(follow(), /broken/);
  await settle();
  assert.deepEqual([listNames("a"), listNames("b"), listNames("c")], [["a1"], ["b1"], []]);

  index.put(await approved("a2", "a"));
  assert.deepEqual(listNames("a"), ["a1", "a2"]);
  await store.delete("b1", abort.signal);
  await settle();
  assert.deepEqual(listNames("b"), []);

  store.breakWatches(new Error("broken"));
  await first;
  await store.delete("a1", abort.signal);
  const second = assert.rejects(follow());
  await settle();
  assert.deepEqual(listNames("a"), []);
  abort.abort();
  await second;
});

test("createNodeWatch() reports no names before the first listing, and why it failed", async () => {
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
  assert.deepEqual(
    [watch.reported().kind, watch.isStarting()],
    ["failed", false],
    "nothing waits for what no one needs",
  );
  isNeeded = true;
  assert.ok(watch.isStarting());
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
