import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lease } from "../../core/kube/kinds/coordination_v1.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createControllerManager } from "./controller_manager.ts";

const held = (renewTime: string, holderIdentity = "cm-0"): Lease => ({
  metadata: { name: "kube-controller-manager", namespace: "kube-system" },
  spec: { holderIdentity, leaseDurationSeconds: 15, renewTime },
});

async function watching(...leases: readonly Lease[]) {
  const store = createMemoryObjectStore<Lease>({ objects: leases });
  const clock = createFakeClock("2026-01-01T00:00:00Z");
  const manager = createControllerManager(store, clock);
  const { signal } = new AbortController();
  return { store, clock, isActive: () => manager.isActive(signal) };
}

test("isActive() is false when no kube-controller-manager has held its Lease, or when it has released it", async () => {
  assert.equal(await (await watching()).isActive(), false);
  assert.equal(await (await watching(held("2026-01-01T00:00:00.000000Z", ""))).isActive(), false);
});

test("isActive() is true while the Lease is renewed, whatever the clock of its holder says", async () => {
  const { store, clock, isActive } = await watching(held("2020-01-01T00:00:00.000000Z"));
  assert.equal(await isActive(), true);
  await clock.advance(14_000);
  assert.equal(await isActive(), true);
  store.put(held("2020-01-01T00:00:10.000000Z"));
  await clock.advance(10_000);
  assert.equal(await isActive(), true);
});

test("isActive() is false once the Lease has not been renewed for its duration", async () => {
  const { clock, isActive } = await watching(held("2026-01-01T00:00:00.000000Z"));
  assert.equal(await isActive(), true);
  await clock.advance(15_001);
  assert.equal(await isActive(), false);
});
