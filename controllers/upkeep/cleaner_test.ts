import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import { CLOCK_JUMPS, createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { buildPodRequest } from "../../tests/support/pod_request_builder.ts";
import { runCleaner, runPodRequestCleaner } from "./cleaner.ts";

const denied = [condition("Denied", "2026-01-01T00:00:00Z")];

test("runCleaner() makes a pass at the start and each hour, and continues after a deletion that fails", async () => {
  const clock = createFakeClock("2026-01-01T02:00:00Z");
  const logger = createMemoryLogger();
  const later = [condition("Denied", "2026-01-01T01:30:00Z")];
  const store = createMemoryObjectStore({
    objects: await Promise.all([
      buildCsr({ name: "stuck", conditions: denied }),
      buildCsr({ name: "old", conditions: denied }),
      buildCsr({ name: "young", conditions: later }),
    ]),
  });
  store.failNext("delete stuck", new AppError("unreachable", "cannot reach"));
  const abort = new AbortController();
  const running = runCleaner({ store, clock, logger }, abort.signal);
  await settle();
  assert.deepEqual(store.calls, ["list", "delete stuck", "delete old"]);
  assert.deepEqual(logger.messages("error"), ["CSR cannot be cleaned"]);
  await clock.advance(3_599_999);
  assert.equal(store.calls.length, 3);
  await clock.advance(1);
  assert.deepEqual(store.calls.slice(3), ["list", "delete stuck", "delete young"]);
  abort.abort();
  await running;
  assert.equal(clock.sleepers, 0);
});

for (const { name, ms } of CLOCK_JUMPS) {
  test(`runCleaner() makes a pass each hour when the clock is set ${name}, and computes ages by the clock as upstream does`, async () => {
    const clock = createFakeClock("2026-01-01T00:30:00Z");
    const store = createMemoryObjectStore({ objects: [await buildCsr({ name: "denied", conditions: denied })] });
    const abort = new AbortController();
    const running = runCleaner({ store, clock, logger: createMemoryLogger() }, abort.signal);
    await settle();
    clock.set(ms);
    await clock.advance(3_600_000);
    assert.deepEqual(store.calls.filter((call) => call === "list"), ["list", "list"]);
    assert.equal(store.calls.includes("delete denied"), ms > -3_600_000);
    abort.abort();
    await running;
  });
}

test("runCleaner() repeats a failed list after a short pause", async () => {
  const clock = createFakeClock("2026-01-01T02:00:00Z");
  const store = createMemoryObjectStore({ objects: [await buildCsr({ conditions: denied })] });
  store.failNext("list", new AppError("unreachable", "cannot reach"));
  const abort = new AbortController();
  const running = runCleaner({ store, clock, logger: createMemoryLogger() }, abort.signal);
  await clock.advance(200);
  assert.deepEqual(store.calls, ["list", "list", "delete csr-1"]);
  abort.abort();
  await running;
});

test("runCleaner() keeps a CSR that was created again under the same name", async () => {
  const clock = createFakeClock("2026-01-01T02:00:00Z");
  const logger = createMemoryLogger();
  const store = createMemoryObjectStore({ objects: [await buildCsr({ conditions: denied })] });
  const stale = store.peek("csr-1");
  await store.delete("csr-1", new AbortController().signal);
  store.put(await buildCsr());
  const abort = new AbortController();
  const lagging = { ...store, list: () => Promise.resolve([stale]) };
  const running = runCleaner({ store: lagging, clock, logger }, abort.signal);
  await settle();
  assert.ok(store.peek("csr-1"));
  assert.deepEqual(logger.messages("error"), []);
  abort.abort();
  await running;
});

test("runPodRequestCleaner() deletes requests of every namespace a quarter of an hour after their creation", async () => {
  const clock = createFakeClock("2026-01-01T12:00:00Z");
  const logger = createMemoryLogger();
  const request = await buildPodRequest();
  const create = (namespace: string, creationTimestamp: string) => ({
    ...request,
    metadata: { name: namespace, namespace, uid: `uid-${namespace}`, creationTimestamp },
  });
  const requests = [create("old", "2026-01-01T11:45:00Z"), create("young", "2026-01-01T11:50:00Z")];
  const deleted: unknown[] = [];
  const abort = new AbortController();
  const running = runPodRequestCleaner({
    list: () => Promise.resolve(requests),
    requestsIn: (namespace) => ({
      delete: (name, _signal, options) => Promise.resolve(void deleted.push([namespace, name, options])),
    }),
    clock,
    logger,
  }, abort.signal);
  await settle();
  assert.deepEqual(deleted, [["old", "old", { uid: "uid-old" }]]);
  assert.deepEqual(logger.messages("info"), ["PodCertificateRequest cleaned"]);
  await clock.advance(300_000);
  assert.deepEqual(deleted.at(-1), ["young", "young", { uid: "uid-young" }]);
  abort.abort();
  await running;
});
