import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Event } from "../../core/kube/kinds/core_v1.ts";
import { formatMicroTime } from "../../core/kube/meta.ts";
import type { Notification, NotifiedEvent } from "../../core/report/notification.ts";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { type NotifierOptions, runNotifier } from "./notifier.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

/** Starts a notifier with a fake clock and a receiver whose answers the test sets. */
function start(t: TestContext, options: Partial<NotifierOptions> = {}) {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const requests = createMemoryObjectStore<CertificateSigningRequest>();
  const events = createMemoryObjectStore<Event>();
  const sent: Notification[] = [];
  const results: string[] = [];
  const receiver: { error: AppError | undefined; attempts: number } = { error: undefined, attempts: 0 };
  const sender = {
    host: "phone.example.com",
    send(notification: Notification) {
      receiver.attempts++;
      if (receiver.error !== undefined) return Promise.reject(receiver.error);
      sent.push(notification);
      return Promise.resolve();
    },
  };
  const stop = new AbortController();
  const onResult = (result: string): void => void results.push(result);
  const running = runNotifier(
    { sender, server: "https://boot.example.com", requests, events, clock, logger, onResult, ...options },
    stop.signal,
  ).catch(() => {});
  t.after(() => {
    stop.abort();
    return running;
  });
  const count = (result: string): number => results.filter((one) => one === result).length;
  return { clock, logger, requests, events, sent, receiver, count };
}

function createEvent(name: string, at: Date, reason = "NameClaimed", request = "csr-1"): Event {
  return {
    metadata: { name, namespace: "default" },
    involvedObject: { kind: "CertificateSigningRequest", name: request },
    reason,
    message: "n1 already has a certificate",
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: formatMicroTime(at),
    reportingComponent: "tlsboot-approver",
    reportingInstance: "host",
  };
}

const unreachable = new AppError("unreachable", 'cannot reach "https://phone.example.com"', { retryable: true });

test("runNotifier() reports once a request that no approver has decided within ten seconds", async (t) => {
  const { clock, requests, sent } = start(t);
  requests.put(await buildCsr({ name: "left" }));
  requests.put(await buildCsr({ name: "decided" }));
  await clock.advance(9 * SECOND);
  requests.put(await buildCsr({ name: "decided", conditions: [condition("Approved", "2026-01-01T00:00:00Z")] }));
  await clock.advance(120 * SECOND);
  requests.put(await buildCsr({ name: "left" }));
  await clock.advance(120 * SECOND);
  assert.deepEqual(sent.map(({ kind, objects }) => [kind, objects.map(({ name }) => name)]), [
    ["RequestPending", ["left"]],
  ]);
  assert.equal(sent[0]?.server, "https://boot.example.com");
});

test("runNotifier() sends one message for many requests", async (t) => {
  const { clock, requests, sent } = start(t);
  for (let index = 0; index < 30; index++) requests.put(await buildCsr({ name: `csr-${index}` }));
  await clock.advance(20 * SECOND);
  assert.deepEqual(sent.map(({ count, objects }) => [count, objects.length]), [[30, 10]]);
});

test("runNotifier() reports an Event once, in place of its pending request", async (t) => {
  const { clock, requests, events, sent, logger } = start(t);
  requests.put(await buildCsr({ name: "csr-1" }));
  await clock.advance(SECOND);
  events.put(createEvent("e1", clock.now()));
  await clock.advance(60 * SECOND);
  events.put(createEvent("e1", clock.now()));
  await clock.advance(120 * SECOND);
  assert.deepEqual(sent.map(({ kind, sentence }) => [kind, sentence]), [[
    "NameClaimed",
    "n1 already has a certificate",
  ]]);
  assert.deepEqual(logger.messages("warn"), []);
});

test("runNotifier() reports Events from the last minute before its start, but no older ones", async (t) => {
  const clock = createFakeClock();
  const at = (secondsAgo: number) => new Date(clock.now().getTime() - secondsAgo * SECOND);
  const objects = [createEvent("old", at(61)), createEvent("new", at(30), "RevokedCredentialUsed")];
  const { sent } = start(t, { clock, events: createMemoryObjectStore({ objects }) });
  await clock.advance(120 * SECOND);
  assert.deepEqual(sent.map(({ kind, count }) => [kind, count]), [["CredentialRefused", 1]]);
});

test("runNotifier() reports once a day what ends soon, and continues when the search fails", async (t) => {
  const notice: NotifiedEvent = { kind: "CaEnding", sentence: "CA ends", object: { kind: "CA", name: "CA" } };
  let searches = 0;
  const findEnding = () =>
    ++searches % 2 === 0 ? Promise.reject(new Error("no such folder")) : Promise.resolve([notice]);
  const { clock, sent, logger } = start(t, { findEnding });
  for (let hour = 0; hour < 24; hour++) {
    await clock.advance(10 * SECOND);
    assert.equal(sent.length, 1);
    clock.jump(HOUR);
  }
  await clock.advance(10 * SECOND);
  assert.deepEqual([sent.length, logger.messages("warn")[0]], [2, "cannot find certificates that expire soon"]);
});

test("runNotifier() delivers waiting messages in order after its receiver was down for an hour", async (t) => {
  const { clock, events, sent, receiver, logger, count } = start(t);
  receiver.error = unreachable;
  for (let minute = 0; minute < 60; minute++) {
    events.put(createEvent(`e${minute}`, clock.now(), "NameClaimed", `csr-${minute}`));
    await clock.advance(60 * SECOND);
  }
  assert.equal(sent.length, 0);
  assert.ok(receiver.attempts < 30, `${receiver.attempts} attempts in an hour`);
  receiver.error = undefined;
  await clock.advance(300 * SECOND);
  const names = sent.flatMap(({ objects }) => objects.map(({ name }) => name));
  assert.deepEqual(names, Array.from({ length: 60 }, (_, minute) => `csr-${minute}`));
  assert.deepEqual(logger.messages("warn"), ["notification cannot be sent, trying again"]);
  assert.deepEqual(logger.messages("info").slice(1), ["notifications are accepted again"]);
  assert.deepEqual([count("sent"), count("failed"), count("dropped")], [
    sent.length,
    receiver.attempts - sent.length,
    0,
  ]);
});

test("runNotifier() keeps a hundred messages, and drops and counts the oldest", async (t) => {
  const { clock, events, sent, receiver, logger, count } = start(t);
  receiver.error = unreachable;
  for (let minute = 0; minute < 110; minute++) {
    events.put(createEvent(`e${minute}`, clock.now(), "NameClaimed", `csr-${minute}`));
    await clock.advance(60 * SECOND);
  }
  receiver.error = undefined;
  await clock.advance(300 * SECOND);
  assert.deepEqual([sent.length, count("dropped"), sent[0]?.objects[0]?.name], [100, 10, "csr-10"]);
  assert.equal(logger.messages("warn").filter((one) => one.startsWith("notification dropped")).length, 10);
});

test("runNotifier() drops messages that the receiver refuses, logs that once, and repeats messages that fail", async (t) => {
  const { clock, events, sent, receiver, logger, count } = start(t);
  receiver.error = new AppError("api_error", '"phone.example.com" answered 404');
  for (let minute = 0; minute < 3; minute++) {
    events.put(createEvent(`e${minute}`, clock.now()));
    await clock.advance(61 * SECOND);
  }
  assert.deepEqual([receiver.attempts, count("dropped")], [3, 3]);
  assert.deepEqual(logger.messages("error"), ["notification refused and dropped, as are all that follow"]);
  receiver.error = new AppError("api_error", '"phone.example.com" answered 503', { retryable: true });
  events.put(createEvent("e4", clock.now()));
  await clock.advance(10 * SECOND);
  assert.ok(receiver.attempts > 4);
  receiver.error = undefined;
  await clock.advance(60 * SECOND);
  assert.deepEqual([sent.length, count("dropped")], [1, 3]);
});
