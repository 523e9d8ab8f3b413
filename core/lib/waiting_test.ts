import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { settle } from "../../tests/support/fake_clock.ts";
import { createKeyedMutex, createWaitQueue } from "./waiting.ts";

test("createKeyedMutex() runs one task at a time for each key, after failures too", async () => {
  const mutex = createKeyedMutex();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = mutex.runExclusive("a", async () => {
    order.push("first");
    await gate.promise;
    throw new Error("failed");
  });
  const refused = assert.rejects(first, /failed/);
  const second = mutex.runExclusive("a", () => {
    order.push("second");
    return Promise.resolve(2);
  });
  await mutex.runExclusive("b", () => Promise.resolve(order.push("other")));
  await settle();
  assert.deepEqual(order, ["first", "other"]);
  gate.resolve();
  await refused;
  assert.equal(await second, 2);
  assert.deepEqual(order, ["first", "other", "second"]);
});

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
