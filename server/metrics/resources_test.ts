import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps } from "../registry/configmaps.ts";
import type { Storage } from "../storage/storage.ts";
import { createMetricsRegistry } from "./registry.ts";
import { countObjects } from "./resources.ts";

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
