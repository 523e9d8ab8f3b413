import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { Lease } from "../../core/kube/kinds/nodes.ts";
import { CLOCK_JUMPS, createFakeClock, type FakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { orAbort } from "../../core/lib/waiting.ts";
import {
  claimLease,
  createControllerManager,
  isHeldAt,
  observeLease,
  releaseLease,
  runWhileLeading,
} from "./leader_election.ts";

const NEVER = new AbortController().signal;

interface Candidate {
  /** The terms that have begun and ended. */
  readonly terms: string[];
  readonly running: Promise<void>;
  stop(): Promise<void>;
}

function stand(
  identity: string,
  store: MemoryObjectStore<Lease>,
  clock: FakeClock,
  run: (signal: AbortSignal) => Promise<void> = (signal) => orAbort(new Promise<void>(() => undefined), signal),
): Candidate {
  const terms: string[] = [];
  const abort = new AbortController();
  const random = { bytes: (length: number) => new Uint8Array(length), float: () => 0 };
  const options = { store, namespace: "kube-system", leaseName: "tlsboot", identity, clock, random };
  const running = runWhileLeading({ ...options, logger: createMemoryLogger() }, async (signal) => {
    terms.push("begin");
    try {
      await run(signal);
    } finally {
      terms.push("end");
    }
  }, abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  return { terms, running, stop };
}

test("runWhileLeading() creates the lease as client-go does, renews it and releases it", async () => {
  const clock = createFakeClock("2026-01-01T00:00:00Z");
  const store = createMemoryObjectStore<Lease>();
  const one = stand("one", store, clock);
  await settle();
  assert.deepEqual(store.peek("tlsboot").spec, {
    holderIdentity: "one",
    leaseDurationSeconds: 15,
    acquireTime: "2026-01-01T00:00:00.000000Z",
    renewTime: "2026-01-01T00:00:00.000000Z",
    leaseTransitions: 0,
  });
  await clock.advance(5_000);
  assert.equal(store.peek("tlsboot").spec.renewTime, "2026-01-01T00:00:04.000000Z");
  assert.equal(store.peek("tlsboot").spec.acquireTime, "2026-01-01T00:00:00.000000Z");
  await one.stop();
  assert.deepEqual(one.terms, ["begin", "end"]);
  assert.deepEqual(store.peek("tlsboot").spec, {
    leaseDurationSeconds: 1,
    acquireTime: "2026-01-01T00:00:05.000000Z",
    renewTime: "2026-01-01T00:00:05.000000Z",
    leaseTransitions: 0,
  });
  assert.equal(clock.sleepers, 0);
});

test("runWhileLeading() logs each minute why the lease cannot be claimed", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const abort = new AbortController();
  const refuse = () => Promise.reject(new AppError("access_denied", "leases are forbidden"));
  const running = runWhileLeading(
    {
      store: { ...createMemoryObjectStore<Lease>(), get: refuse, create: refuse },
      namespace: "kube-system",
      leaseName: "tlsboot",
      identity: "one",
      clock,
      random: { bytes: (length: number) => new Uint8Array(length), float: () => 0 },
      logger,
    },
    () => Promise.resolve(),
    abort.signal,
  );
  await clock.advance(59_000);
  assert.deepEqual(logger.messages("warn"), ["leader lease cannot be claimed"]);
  await clock.advance(120_000);
  assert.equal(logger.messages("warn").length, 3);
  assert.equal(logger.entries.at(-1)?.fields["error"], "leases are forbidden");
  abort.abort();
  await running;
});

test("runWhileLeading() renews without reading first", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  const one = stand("one", store, clock);
  await clock.advance(4_000);
  assert.deepEqual(store.calls, [
    "get tlsboot",
    "create tlsboot",
    "update tlsboot",
    "update tlsboot",
    "update tlsboot",
  ]);
  await one.stop();
});

test("runWhileLeading() hands over at once when the leader stops", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  const one = stand("one", store, clock);
  await settle();
  const two = stand("two", store, clock);
  await clock.advance(60_000);
  assert.deepEqual(two.terms, []);
  await one.stop();
  await clock.advance(2_000);
  assert.deepEqual(two.terms, ["begin"]);
  assert.equal(store.peek("tlsboot").spec.holderIdentity, "two");
  assert.equal(store.peek("tlsboot").spec.leaseTransitions, 1);
  await two.stop();
});

test("runWhileLeading() takes over 15 s after the last renewal of a leader, measured by its own clock", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  const spec = { holderIdentity: "dead", leaseDurationSeconds: 15, renewTime: "2099-01-01T00:00:00.000000Z" };
  store.put({ metadata: { name: "tlsboot" }, spec });
  const one = stand("one", store, clock);
  await clock.advance(14_000);
  assert.deepEqual(one.terms, []);
  await clock.advance(2_000);
  assert.deepEqual(one.terms, ["begin"]);
  await one.stop();
});

for (const { name, ms } of CLOCK_JUMPS) {
  test(`runWhileLeading() keeps its term, and another candidate keeps waiting, when the clock is set ${name}`, async () => {
    const clock = createFakeClock();
    const store = createMemoryObjectStore<Lease>();
    const one = stand("one", store, clock);
    await clock.advance(5_000);
    const two = stand("two", store, clock);
    await clock.advance(5_000);
    clock.set(ms);
    const before = store.calls.length;
    await clock.advance(60_000);
    assert.ok(store.calls.length > before + 30, "both go on asking every two seconds");
    assert.deepEqual([one.terms, two.terms], [["begin"], []]);
    await Promise.all([one.stop(), two.stop()]);
  });
}

test("runWhileLeading() stops its work after 10 s without a renewal, and is a candidate again", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  let reachable = true;
  const check = (): void => {
    if (!reachable) throw new AppError("unreachable", "cannot reach");
  };
  const flaky: MemoryObjectStore<Lease> = {
    ...store,
    get: async (...args) => {
      check();
      return await store.get(...args);
    },
    update: async (...args) => {
      check();
      return await store.update(...args);
    },
  };
  const one = stand("one", flaky, clock);
  await settle();
  reachable = false;
  await clock.advance(11_999);
  assert.deepEqual(one.terms, ["begin"]);
  await clock.advance(1);
  assert.deepEqual(one.terms, ["begin", "end"]);
  reachable = true;
  await clock.advance(4_000);
  assert.deepEqual(one.terms, ["begin", "end", "begin"]);
  await one.stop();
});

test("runWhileLeading() stops its work when a renewal hangs", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  let hanging = false;
  const hang = (signal: AbortSignal): Promise<never> => orAbort(new Promise<never>(() => undefined), signal);
  const slow: MemoryObjectStore<Lease> = {
    ...store,
    get: (name, signal) => hanging ? hang(signal) : store.get(name, signal),
    update: (object, signal, subresource) => hanging ? hang(signal) : store.update(object, signal, subresource),
  };
  const one = stand("one", slow, clock);
  await settle();
  hanging = true;
  await clock.advance(12_000);
  assert.deepEqual(one.terms, ["begin", "end"]);
  // The release hangs as well, until its own deadline.
  const stopped = one.stop();
  await clock.advance(10_000);
  await stopped;
});

test("runWhileLeading() does not take back a lease that another replica has claimed", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  const one = stand("one", store, clock);
  await settle();
  store.put({ ...store.peek("tlsboot"), spec: { holderIdentity: "two", leaseDurationSeconds: 3600 } });
  await clock.advance(12_000);
  assert.deepEqual(one.terms, ["begin", "end"]);
  assert.equal(store.peek("tlsboot").spec.holderIdentity, "two");
  await one.stop();
});

test("runWhileLeading() releases the lease and ends when the work ends or fails", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  await stand("one", store, clock, () => Promise.resolve()).running;
  assert.equal(store.peek("tlsboot").spec.holderIdentity, undefined);
  await assert.rejects(stand("two", store, clock, () => Promise.reject(new Error("boom"))).running, /boom/);
  assert.equal(store.peek("tlsboot").spec.holderIdentity, undefined);
});

test("runWhileLeading() releases the lease after a conflict", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  const one = stand("one", store, clock);
  await settle();
  store.failNext("update tlsboot", new AppError("conflict", "cannot update"));
  await one.stop();
  assert.equal(store.peek("tlsboot").spec.holderIdentity, undefined);
});

test("runWhileLeading() lets one of two new candidates lead", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<Lease>();
  const both = [stand("one", store, clock), stand("two", store, clock)];
  await clock.advance(60_000);
  assert.equal(both.filter(({ terms }) => terms.length === 1).length, 1);
  await Promise.all(both.map((candidate) => candidate.stop()));
});

test("claimLease(), releaseLease(), isHeldAt() and observeLease() keep the record as client-go does", async () => {
  const now = new Date("2026-01-01T00:00:10Z");
  const candidate = { identity: "me", leaseDurationMs: 15_000 };
  const theirs = { holderIdentity: "you", leaseTransitions: 4, acquireTime: "x", renewTime: "y", strategy: "s" };
  const claimed = claimLease(theirs, candidate, now);
  assert.equal(claimed.leaseTransitions, 5);
  assert.equal(claimed.acquireTime, "2026-01-01T00:00:10.000000Z");
  assert.equal(claimed.strategy, "s");
  assert.equal(claimLease(claimed, candidate, new Date()).acquireTime, claimed.acquireTime);
  assert.equal(releaseLease(claimed, now).leaseTransitions, 5);
  const store = createMemoryObjectStore<Lease>({ objects: [{ metadata: { name: "l" }, spec: claimed }] });
  const lease = await store.get("l", NEVER);
  assert.ok(lease !== undefined);
  const seen = observeLease(undefined, lease, 10_000);
  assert.equal(isHeldAt(seen, 24_999), true);
  assert.equal(isHeldAt(seen, 25_000), false);
  assert.equal(observeLease(seen, lease, 15_000).at, 10_000);
});

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

test("isActive() is true while the Lease is renewed, whatever the clock of its holder", async () => {
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
