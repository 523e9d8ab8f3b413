import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetricsRegistry } from "./registry.ts";
import { countObjects, createStorageMetrics } from "./storage.ts";
import { configMaps } from "../registry/configmaps.ts";
import type { Storage } from "../storage/storage.ts";

test("createStorageMetrics() tells on each page what is so at that moment, and asks once for it", async () => {
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

test("countObjects() leaves a figure as it was while the storage cannot be read", async () => {
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
