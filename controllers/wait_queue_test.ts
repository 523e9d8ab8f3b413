import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { settle } from "../tests/support/fake_clock.ts";
import { createWaitQueue } from "./wait_queue.ts";

test("createWaitQueue() wakes one waiter per call, in the order they came", async () => {
  const { signal } = new AbortController();
  const line = createWaitQueue();
  const gone: string[] = [];
  line.wakeNext();
  for (const name of ["a", "b", "c"]) line.wait(signal).then(() => gone.push(name));
  await settle();
  assert.deepEqual(gone, []);
  line.wakeNext();
  line.wakeNext();
  await settle();
  assert.deepEqual(gone, ["a", "b"]);
});

test("createWaitQueue() rejects only the waiters whose signal aborts", async () => {
  const [impatient, patient] = [new AbortController(), new AbortController()];
  const line = createWaitQueue();
  const sent = [line.wait(impatient.signal), line.wait(impatient.signal)];
  const stays = line.wait(patient.signal);
  impatient.abort(new Error("enough"));
  for (const wait of sent) await assert.rejects(wait, /enough/);
  await assert.rejects(line.wait(impatient.signal), /enough/);
  line.wakeNext();
  await stays;
});

test("createWaitQueue() listens to a signal once, and only while something waits with it", async () => {
  const { signal } = new AbortController();
  const listeners = (): number => getEventListeners(signal, "abort").length;
  const line = createWaitQueue();
  const waits = [line.wait(signal), line.wait(signal)];
  assert.equal(listeners(), 1);
  line.wakeNext();
  assert.equal(listeners(), 1);
  line.wakeNext();
  assert.equal(listeners(), 0);
  await Promise.all(waits);
});
