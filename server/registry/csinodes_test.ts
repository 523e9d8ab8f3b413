import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestApp } from "../../tests/support/test_app.ts";

const CSINODES = "/apis/storage.k8s.io/v1/csinodes";

// `pkg/registry/storage/csinode/strategy.go`: CSIVolumeHealth is off by default.
test("csinodes drop the storage health that a client sends", async () => {
  await using app = await createTestApp();
  const status = { storageHealth: [{ name: "a" }] };
  const created = await app.send("POST", CSINODES, {
    body: { metadata: { name: "n1" }, spec: { drivers: [] }, status },
  });
  assert.equal(created.code, 201);
  assert.deepEqual(created.at("status"), {});
  const patched = await app.send("PATCH", `${CSINODES}/n1`, {
    body: { status, metadata: { labels: { a: "b" } } },
    headers: { "content-type": "application/merge-patch+json" },
  });
  assert.equal(patched.code, 200);
  assert.deepEqual(patched.at("status"), {});
});
