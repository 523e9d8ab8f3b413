import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetricsRegistry } from "./registry.ts";
import { countObjects, createEtcdMetrics, createStorageMetrics } from "./storage.ts";
import { configMaps } from "../registry/secrets.ts";
import type { Storage } from "../storage/storage.ts";
import { STORED_RESOURCES } from "../registry/resources.ts";
import type { EtcdCall } from "../storage/etcd/client.ts";

test("createStorageMetrics() reports the current sizes at each scrape, and reads them once", async () => {
  const registry = createMetricsRegistry();
  let asked = 0;
  createStorageMetrics(registry, () => {
    asked += 1;
    return Promise.resolve({ database: asked, journal: asked * 10, diskFree: asked * 100 });
  });
  for (const times of [1, 2]) {
    const page = await registry.metrics();
    assert.match(page, new RegExp(`^apiserver_storage_size_bytes\\{storage_cluster_id="sqlite-0"\\} ${times}$`, "m"));
    assert.match(page, new RegExp(`^tlsboot_storage_journal_bytes ${times}0$`, "m"));
    assert.match(page, new RegExp(`^tlsboot_storage_disk_free_bytes ${times}00$`, "m"));
    assert.equal(asked, times);
  }
});

test("countObjects() keeps the last number while the storage cannot be read", async () => {
  let isBroken = false;
  const list: Storage["list"] = () =>
    isBroken
      ? Promise.reject(new Error("the disk is gone"))
      : Promise.resolve({ items: [], remaining: 3, revision: 1 } as Awaited<ReturnType<Storage["list"]>>);
  const registry = createMetricsRegistry();
  countObjects(registry, { list }, [configMaps]);
  const line = /^apiserver_resource_objects\{group="",resource="configmaps"\} 3$/m;
  assert.match(await registry.metrics(), line);
  isBroken = true;
  assert.match(await registry.metrics(), line);
});

for (
  const { key, operation, group, resource } of [
    { key: "/registry/minions/n1", operation: "update", group: "", resource: "nodes" },
    {
      key: "/registry/leases/kube-node-lease/n1",
      operation: "create",
      group: "coordination.k8s.io",
      resource: "leases",
    },
    { key: "/registry/events/default/a", operation: "create", group: "", resource: "events" },
    { key: "/registry/secrets/", operation: "list", group: "", resource: "secrets" },
    { key: "compact_rev_key", operation: "getCurrentResourceVersion", group: "", resource: "" },
  ] satisfies readonly (Pick<EtcdCall, "key" | "operation"> & { readonly group: string; readonly resource: string })[]
) {
  test(`createEtcdMetrics() counts ${operation} of ${key} as one of ${resource || "nothing"}`, async () => {
    const registry = createMetricsRegistry();
    const observer = createEtcdMetrics(registry, STORED_RESOURCES);
    observer.called({ operation, key, seconds: 0.02, failed: false });
    observer.called({ operation, key, seconds: 7, failed: true });
    const labels = `operation="${operation}",group="${group}",resource="${resource}"`;
    const lines = (await registry.metrics()).split("\n");
    for (
      const line of [
        `etcd_requests_total{${labels}} 2`,
        `etcd_request_errors_total{${labels}} 1`,
        `etcd_request_duration_seconds_count{${labels}} 2`,
        `etcd_request_duration_seconds_bucket{le="0.025",${labels}} 1`,
      ]
    ) assert.ok(lines.includes(line), line);
  });
}

test("createEtcdMetrics() reports how far the served state is behind, and interruptions of the watch", async () => {
  const registry = createMetricsRegistry();
  const observer = createEtcdMetrics(registry, []);
  observer.caughtUp(0);
  observer.caughtUp(0.5);
  observer.watchBroke();
  const text = await registry.metrics();
  assert.match(text, /^tlsboot_etcd_mirror_lag_seconds_count 2$/m);
  assert.match(text, /^tlsboot_etcd_mirror_lag_seconds_bucket\{le="0.001"\} 1$/m);
  assert.match(text, /^tlsboot_etcd_watch_breaks_total 1$/m);
});
