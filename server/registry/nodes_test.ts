import assert from "node:assert/strict";
import { test } from "node:test";
import { renderCell } from "./resource.ts";
import { nodes } from "./nodes.ts";
import { createTestApp } from "../../tests/support/test_app.ts";

// Rows as kube-apiserver 1.37 prints them (`printNode` of pkg/printers/internalversion).
for (
  const { name, nodeInfo, want } of [
    { name: "nothing is known", nodeInfo: undefined, want: "<unknown>" },
    { name: "only the kernel is known", nodeInfo: { kernelVersion: "6.1.0" }, want: "6.1.0" },
    { name: "only the architecture is known", nodeInfo: { architecture: "arm64" }, want: "<unknown> (arm64)" },
    { name: "both are known", nodeInfo: { kernelVersion: "6.1.0", architecture: "amd64" }, want: "6.1.0 (amd64)" },
    { name: "both are empty", nodeInfo: { kernelVersion: "", architecture: "" }, want: "<unknown>" },
  ]
) {
  test(`nodes shows ${want} as the kernel when ${name}`, () => {
    const column = nodes.columns.find((column) => column.name === "Kernel-Version");
    const status = nodeInfo === undefined ? {} : { nodeInfo };
    assert.equal(renderCell(column!, { metadata: { name: "n1" }, spec: {}, status }, new Date(0)), want);
  });
}

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
