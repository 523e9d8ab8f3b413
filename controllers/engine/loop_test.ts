import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import type { ObjectChange } from "../../core/ports.ts";
import { createFakeClock, type FakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger, type MemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { orAbort } from "../../core/lib/waiting.ts";
import { type ControllerOptions, DONE, type Outcome, type Reconcile, runController } from "./loop.ts";

interface Rig {
  readonly store: MemoryObjectStore<ConfigMap>;
  readonly clock: FakeClock;
  readonly logger: MemoryLogger;
  /** Names as they were reconciled, `-` before one that was gone. */
  readonly seen: string[];
  stop(): Promise<void>;
}

function start(
  reconcile: Reconcile<ConfigMap>,
  names: readonly string[] = [],
  options: Partial<Pick<ControllerOptions<ConfigMap>, "workers" | "resyncMs" | "concerns">> = {},
): Rig {
  const store = createMemoryObjectStore<ConfigMap>({ objects: names.map((name) => ({ metadata: { name } })) });
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const abort = new AbortController();
  const seen: string[] = [];
  const running = runController({
    name: "test",
    store,
    reconcile: (name, object, signal) => {
      seen.push(object === undefined ? `-${name}` : name);
      return reconcile(name, object, signal);
    },
    clock,
    random: createSeededRandom(),
    logger,
    ...options,
  }, abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
    assert.equal(clock.sleepers, 0, "a timer remained");
  };
  return { store, clock, logger, seen, stop };
}

const isDone = (): Promise<Outcome> => Promise.resolve(DONE);

test("runController() reconciles existing, changed and deleted objects", async () => {
  const rig = start(isDone, ["a", "b"]);
  await settle();
  assert.deepEqual(rig.seen, ["a", "b"]);
  rig.store.put({ metadata: { name: "c" } });
  await settle();
  await rig.store.delete("a", new AbortController().signal);
  await settle();
  assert.deepEqual(rig.seen, ["a", "b", "c", "-a"]);
  await rig.stop();
});

test("runController() passes the newest known object", async () => {
  const versions: string[] = [];
  const rig = start((_name, object) => {
    versions.push(object?.metadata.resourceVersion ?? "none");
    return Promise.resolve<Outcome>(versions.length === 1 ? { kind: "requeueAfter", ms: 1_000 } : DONE);
  }, ["a"]);
  await settle();
  rig.store.put({ metadata: { name: "a" } });
  await rig.clock.advance(1_000);
  assert.deepEqual(versions, ["1", "2", "2"]);
  await rig.stop();
});

test("runController() retries a failure with back-off and logs each attempt", async () => {
  const rig = start(() => Promise.reject(new Error("boom")), ["a"]);
  await rig.clock.advance(700);
  assert.deepEqual(rig.seen, ["a", "a", "a"]);
  assert.deepEqual(
    rig.logger.entries.filter((entry) => entry.level === "error").map((entry) => entry.fields),
    [1, 2, 3].map((attempt) => ({ controller: "test", name: "a", attempt, error: "boom" })),
  );
  await rig.stop();
});

test("runController() retries a conflict without an error in the log", async () => {
  let failures = 2;
  const rig = start(() => {
    failures -= 1;
    return failures < 0 ? isDone() : Promise.reject(new AppError("conflict", "cannot update"));
  }, ["a"]);
  await rig.clock.advance(10_000);
  assert.deepEqual(rig.seen, ["a", "a", "a"]);
  assert.deepEqual(rig.logger.messages("error"), []);
  await rig.stop();
});

test("runController() resets the back-off after a success", async () => {
  const outcomes: Outcome[] = [{ kind: "retry", error: "x" }, { kind: "retry", error: "x" }, DONE];
  const rig = start(() => Promise.resolve(outcomes.shift() ?? { kind: "retry", error: "x" }), ["a"]);
  await rig.clock.advance(600);
  rig.store.put({ metadata: { name: "a" } });
  await rig.clock.advance(200);
  assert.equal(rig.seen.length, 5);
  await rig.stop();
});

test("runController() does not retry a terminal failure until the object changes", async () => {
  const rig = start(() => Promise.resolve<Outcome>({ kind: "terminal", error: new Error("never") }), ["a"]);
  await rig.clock.advance(100_000);
  assert.deepEqual(rig.seen, ["a"]);
  assert.deepEqual(rig.logger.messages("error"), ["reconciliation failed for good"]);
  rig.store.put({ metadata: { name: "a" } });
  await settle();
  assert.deepEqual(rig.seen, ["a", "a"]);
  await rig.stop();
});

test("runController() restarts a broken watch and notices objects that were deleted meanwhile", async () => {
  const rig = start(isDone, ["a", "b"]);
  await settle();
  rig.store.breakWatches(new Error("reset"));
  await settle();
  await rig.store.delete("a", new AbortController().signal);
  await rig.clock.advance(200);
  assert.deepEqual(rig.seen, ["a", "b", "b", "-a"]);
  assert.deepEqual(rig.logger.messages("error"), ["watch failed, starting it again"]);
  await rig.stop();
});

test("runController() starts its workers when all objects are known", async () => {
  const gate = Promise.withResolvers<void>();
  const rig = start(isDone);
  await rig.stop();
  async function* changes(signal: AbortSignal): AsyncIterable<ObjectChange<ConfigMap>> {
    yield { kind: "changed", object: { metadata: { name: "a" } } };
    await gate.promise;
    yield { kind: "synced" };
    await orAbort(new Promise<void>(() => undefined), signal);
  }
  const seen: string[] = [];
  const abort = new AbortController();
  const running = runController({
    name: "test",
    store: { ...rig.store, changes },
    reconcile: (name) => {
      seen.push(name);
      return isDone();
    },
    clock: rig.clock,
    random: createSeededRandom(),
    logger: rig.logger,
  }, abort.signal);
  await settle();
  assert.deepEqual(seen, []);
  gate.resolve();
  await settle();
  assert.deepEqual(seen, ["a"]);
  abort.abort();
  await running;
});

test("runController() reconciles as many names at once as it has workers", async () => {
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  const rig = start(
    async () => {
      running += 1;
      most = Math.max(most, running);
      await gate.promise;
      running -= 1;
      return DONE;
    },
    ["a", "b", "c", "d"],
    { workers: 3 },
  );
  await settle();
  assert.equal(most, 3);
  gate.resolve();
  await settle();
  assert.equal(rig.seen.length, 4);
  await rig.stop();
});

test("runController() reconciles every object again after one to two resync periods", async () => {
  const rig = start(isDone, ["a"], { resyncMs: 1_000 });
  await rig.clock.advance(999);
  assert.deepEqual(rig.seen, ["a"]);
  await rig.clock.advance(1_001);
  assert.deepEqual(rig.seen, ["a", "a"]);
  await rig.stop();
});

test("runController() reconciles selected objects, queued names, and selected objects that are deleted", async () => {
  const concerns = ({ data = {} }: ConfigMap): boolean => data["open"] === "yes";
  const outcomes: Outcome[] = [DONE, { kind: "requeueAfter", ms: 3_000 }];
  const rig = start(() => Promise.resolve(outcomes.shift() ?? DONE), ["a"], { concerns, resyncMs: 1_000 });
  const put = async (name: string, open: string): Promise<void> => {
    rig.store.put({ metadata: { name }, data: { open } });
    await settle();
  };
  await settle();
  await put("b", "no");
  assert.deepEqual(rig.seen, []);
  await put("a", "yes");
  assert.deepEqual(rig.seen, ["a"]);
  await rig.clock.advance(2_000);
  assert.deepEqual(rig.seen, ["a", "a"]);
  await put("a", "no");
  assert.deepEqual(rig.seen, ["a", "a"]);
  await rig.clock.advance(3_000);
  assert.deepEqual(rig.seen, ["a", "a", "a"]);
  await put("b", "yes");
  for (const name of ["a", "b"]) await rig.store.delete(name, new AbortController().signal);
  await settle();
  assert.deepEqual(rig.seen, ["a", "a", "a", "b", "-b"]);
  await rig.stop();
});

test("runController() waits for a worker that is busy when the signal aborts", async () => {
  const gate = Promise.withResolvers<void>();
  let finished = false;
  const rig = start(async () => {
    await gate.promise;
    finished = true;
    return DONE;
  }, ["a"]);
  await settle();
  const stopped = rig.stop();
  await settle();
  assert.equal(finished, false);
  gate.resolve();
  await stopped;
  assert.equal(finished, true);
});
