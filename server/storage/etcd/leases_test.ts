import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { EventLeases } from "./leases.ts";

/** Creates leases of an etcd that numbers them from 1. */
function createLeases(ttlMs: number) {
  const clock = createFakeClock();
  const granted: number[] = [];
  const etcd = { fails: false };
  const leases = new EventLeases(
    {
      async grantLease(ttlSeconds) {
        granted.push(ttlSeconds);
        if (etcd.fails) throw new Error("no leader");
        return BigInt(granted.length);
      },
    },
    clock,
    ttlMs,
  );
  return { clock, granted, etcd, leases, next: () => leases.leaseFor("/registry/events/default/e") };
}

test("EventLeases shares a lease for a minute and a thousand Events, unless it ends early", async () => {
  const { clock, granted, etcd, leases, next } = createLeases(3_600_000);
  assert.equal(await leases.leaseFor("/registry/pods/default/p"), undefined);
  for (let count = 0; count < 1_000; count++) assert.equal(await next(), 1n);
  assert.equal(await next(), 2n);
  clock.jump(59_999);
  assert.equal(await next(), 2n);
  clock.jump(1);
  assert.equal(await next(), 3n);
  leases.forget(2n);
  assert.equal(await next(), 3n);
  leases.forget(3n);
  etcd.fails = true;
  await assert.rejects(next(), /no leader/);
  etcd.fails = false;
  assert.equal(await next(), 5n);
  assert.deepEqual(granted, Array.from({ length: 5 }, () => 3_660));
});

test("EventLeases shares a lease for a twentieth of a short lifetime, and rounds seconds up", async () => {
  const { clock, granted, next } = createLeases(100_100);
  assert.equal(await next(), 1n);
  clock.jump(5_004);
  assert.equal(await next(), 1n);
  clock.jump(1);
  assert.equal(await next(), 2n);
  assert.deepEqual(granted, [106, 106]);
});
