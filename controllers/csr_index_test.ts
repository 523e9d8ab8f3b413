import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import { buildCsr, condition } from "../tests/support/csr_builder.ts";
import { settle } from "../tests/support/fake_clock.ts";
import { createMemoryObjectStore } from "../tests/support/memory_object_store.ts";
import { createCsrIndex } from "./csr_index.ts";

const approved = (name: string, username: string) => buildCsr({ name, username, conditions: [condition("Approved")] });

test("createCsrIndex() knows the approved requests of each requester, also after a watch that broke", async () => {
  const store = createMemoryObjectStore<CertificateSigningRequest>({
    objects: [await approved("a1", "a"), await buildCsr({ name: "a2", username: "a" }), await approved("b1", "b")],
  });
  const index = createCsrIndex(store);
  const listNames = (username: string) => [...index.listApproved(username)].map(getName);
  const abort = new AbortController();
  const follow = async () => {
    for await (const _ of index.changes(abort.signal)) { /* noted as it passes */ }
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
