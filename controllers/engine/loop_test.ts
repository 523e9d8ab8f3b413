import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import type { ObjectChange } from "../../core/ports.ts";
import { CLOCK_JUMPS, createFakeClock, type FakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger, type MemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { orAbort } from "../../core/lib/waiting.ts";
import {
  backoffMs,
  type ControllerOptions,
  createWorkQueue,
  DONE,
  type Outcome,
  type Reconcile,
  runController,
} from "./loop.ts";
import fc from "../../tests/support/properties.ts";

interface Rig {
  readonly store: MemoryObjectStore<ConfigMap>;
  readonly clock: FakeClock;
  readonly logger: MemoryLogger;
  /** The reconciled names in order, with `-` before those that were gone. */
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
  assert.deepEqual(rig.logger.messages("error"), ["reconciliation failed permanently"]);
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

const NEVER = new AbortController().signal;

test("backoffMs() doubles from 200 ms and stops at 1000 s", () => {
  assert.deepEqual([0, 1, 2, 3, 12, 13, 100, 5000].map(backoffMs), [
    200,
    400,
    800,
    1600,
    819_200,
    1_000_000,
    1_000_000,
    1_000_000,
  ]);
});

test("createWorkQueue() returns a name once, first in, first out", async () => {
  const queue = createWorkQueue(createFakeClock());
  for (const name of ["a", "b", "a"]) queue.add(name);
  assert.equal(await queue.take(NEVER), "a");
  assert.equal(await queue.take(NEVER), "b");
  const third = queue.take(NEVER);
  queue.add("c");
  assert.equal(await third, "c");
});

test("createWorkQueue() returns a name again after done when it changed meanwhile, never in parallel", async () => {
  const queue = createWorkQueue(createFakeClock());
  queue.add("a");
  await queue.take(NEVER);
  queue.add("a");
  let taken = "";
  const again = queue.take(NEVER).then((name) => taken = name);
  await settle();
  assert.equal(taken, "");
  queue.done("a");
  assert.equal(await again, "a");
});

test("createWorkQueue() returns a name again whose delay ends while it is processed", async () => {
  const clock = createFakeClock();
  const queue = createWorkQueue(clock);
  const stop = new AbortController();
  const delays = queue.runDelays(stop.signal);
  queue.add("a");
  await queue.take(NEVER);
  queue.addAfter("a", 1);
  await clock.advance(1);
  queue.done("a");
  assert.equal(await queue.take(NEVER), "a");
  stop.abort();
  await delays;
});

test("createWorkQueue() rejects a take with the reason of the abort", async () => {
  const queue = createWorkQueue(createFakeClock());
  const abort = new AbortController();
  const taken = queue.take(abort.signal);
  abort.abort(new Error("over"));
  await assert.rejects(taken, /over/);
  queue.add("a");
  assert.equal(await queue.take(NEVER), "a");
});

test("createWorkQueue() delays names, by the shorter of two delays", async () => {
  const clock = createFakeClock();
  const queue = createWorkQueue(clock);
  const abort = new AbortController();
  const delays = queue.runDelays(abort.signal);
  const taken: string[] = [];
  const worker = (async () => {
    while (true) taken.push(await queue.take(abort.signal));
  })().catch(() => undefined);
  queue.addAfter("late", 5_000);
  queue.addAfter("both", 3_000);
  queue.addAfter("both", 1_000);
  queue.addAfter("both", 9_000);
  await clock.advance(999);
  assert.deepEqual(taken, []);
  await clock.advance(1);
  assert.deepEqual(taken, ["both"]);
  await clock.advance(4_000);
  assert.deepEqual(taken, ["both", "late"]);
  abort.abort();
  await Promise.all([delays, worker]);
  assert.equal(clock.sleepers, 0);
});

test("createWorkQueue() counts failures until they are reset", async () => {
  const clock = createFakeClock();
  const queue = createWorkQueue(clock);
  const abort = new AbortController();
  const delays = queue.runDelays(abort.signal);
  const starts: number[] = [];
  const begin = clock.now().getTime();
  const worker = (async () => {
    while (true) {
      const name = await queue.take(abort.signal);
      starts.push(clock.now().getTime() - begin);
      queue.addRateLimited(name);
      queue.done(name);
    }
  })().catch(() => undefined);
  queue.add("a");
  await clock.advance(1_500);
  assert.deepEqual(starts, [0, 200, 600, 1_400]);
  assert.equal(queue.failures("a"), 4);
  queue.forget("a");
  assert.equal(queue.failures("a"), 0);
  abort.abort();
  await Promise.all([delays, worker]);
});

test("createWorkQueue() loses no name, whatever the order of calls", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ name: fc.constantFrom("a", "b", "c"), finish: fc.boolean() }), { maxLength: 30 }),
      async (steps) => {
        const queue = createWorkQueue(createFakeClock());
        const open = new Map<string, number>();
        const seen = new Map<string, number>();
        const added = new Map<string, number>();
        let step = 0;
        const abort = new AbortController();
        const worker = (async () => {
          while (true) {
            const name = await queue.take(abort.signal);
            assert.equal(open.has(name), false, "handled twice at the same time");
            open.set(name, step);
            seen.set(name, step);
          }
        })();
        const stopped = assert.rejects(worker, { name: "AbortError" });
        for (const { name, finish } of steps) {
          step += 1;
          queue.add(name);
          added.set(name, step);
          await settle(1);
          if (finish && open.delete(name)) queue.done(name);
        }
        step += 1;
        for (let round = 0; round < 2; round += 1) {
          for (const name of [...open.keys()]) {
            open.delete(name);
            queue.done(name);
          }
          await settle(1);
        }
        for (const [name, at] of added) assert.ok((seen.get(name) ?? 0) >= at, `${name} was added and not seen again`);
        abort.abort();
        await stopped;
      },
    ),
    { numRuns: 30 },
  );
});

for (const { name, ms } of CLOCK_JUMPS) {
  test(`createWorkQueue() keeps its delays when the clock is set ${name}`, async () => {
    const clock = createFakeClock();
    const queue = createWorkQueue(clock);
    const abort = new AbortController();
    const delays = queue.runDelays(abort.signal);
    queue.addAfter("a", 1_000);
    await settle();
    clock.set(ms);
    let taken = "";
    const take = queue.take(NEVER).then((item) => taken = item);
    await clock.advance(999);
    assert.equal(taken, "");
    await clock.advance(1);
    await settle();
    assert.equal(taken, "a");
    await take;
    abort.abort();
    await delays;
  });
}
