import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetricsRegistry } from "./registry.ts";
import { createStorageMetrics } from "./storage.ts";

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
