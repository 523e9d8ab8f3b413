import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { settle } from "../../tests/support/fake_clock.ts";
import { createWaitingLine } from "./waiting_line.ts";

test("createWaitingLine() lets one go for each call, in the order they came", async () => {
  const { signal } = new AbortController();
  const line = createWaitingLine();
  const gone: string[] = [];
  line.callNext();
  for (const name of ["a", "b", "c"]) line.wait(signal).then(() => gone.push(name));
  await settle();
  assert.deepEqual(gone, []);
  line.callNext();
  line.callNext();
  await settle();
  assert.deepEqual(gone, ["a", "b"]);
});

test("createWaitingLine() sends those away whose signal aborts, and nobody else", async () => {
  const [impatient, patient] = [new AbortController(), new AbortController()];
  const line = createWaitingLine();
  const sent = [line.wait(impatient.signal), line.wait(impatient.signal)];
  const stays = line.wait(patient.signal);
  impatient.abort(new Error("enough"));
  for (const wait of sent) await assert.rejects(wait, /enough/);
  await assert.rejects(line.wait(impatient.signal), /enough/);
  line.callNext();
  await stays;
});

test("createWaitingLine() listens to a signal once while somebody waits, and no longer", async () => {
  const { signal } = new AbortController();
  const listeners = (): number => getEventListeners(signal, "abort").length;
  const line = createWaitingLine();
  const waits = [line.wait(signal), line.wait(signal)];
  assert.equal(listeners(), 1);
  line.callNext();
  assert.equal(listeners(), 1);
  line.callNext();
  assert.equal(listeners(), 0);
  await Promise.all(waits);
});
