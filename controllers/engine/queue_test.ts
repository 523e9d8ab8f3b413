import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { CLOCK_JUMPS, createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import fc from "../../tests/support/properties.ts";
import { backoffMs, createWaitQueue, createWorkQueue } from "./queue.ts";

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

test("createWorkQueue() delays names; of two delays the shorter one counts", async () => {
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

test("createWorkQueue() loses no name, whatever the order of adds and dones", async () => {
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
            assert.equal(open.has(name), false, "handled twice at a time");
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

test("createWaitQueue() wakes one waiter per call, first in, first out", async () => {
  const { signal } = new AbortController();
  const queue = createWaitQueue();
  const gone: string[] = [];
  queue.wakeNext();
  for (const name of ["a", "b", "c"]) queue.wait(signal).then(() => gone.push(name));
  await settle();
  assert.deepEqual(gone, []);
  queue.wakeNext();
  queue.wakeNext();
  await settle();
  assert.deepEqual(gone, ["a", "b"]);
});

test("createWaitQueue() rejects only the waiters whose signal aborts", async () => {
  const [short, long] = [new AbortController(), new AbortController()];
  const queue = createWaitQueue();
  const sent = [queue.wait(short.signal), queue.wait(short.signal)];
  const stays = queue.wait(long.signal);
  short.abort(new Error("enough"));
  for (const wait of sent) await assert.rejects(wait, /enough/);
  await assert.rejects(queue.wait(short.signal), /enough/);
  queue.wakeNext();
  await stays;
});

test("createWaitQueue() listens to a signal once, and only while something waits with it", async () => {
  const { signal } = new AbortController();
  const listeners = (): number => getEventListeners(signal, "abort").length;
  const queue = createWaitQueue();
  const waits = [queue.wait(signal), queue.wait(signal)];
  assert.equal(listeners(), 1);
  queue.wakeNext();
  assert.equal(listeners(), 1);
  queue.wakeNext();
  assert.equal(listeners(), 0);
  await Promise.all(waits);
});
