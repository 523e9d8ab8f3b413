import assert from "node:assert/strict";
import { test } from "node:test";
import { createConnectionGuard, GUARD_LIMITS, type GuardLimits } from "./connection_guard.ts";

/** A guard whose time a test moves, and what became of each connection. */
function createGuarded(edit: Partial<GuardLimits> = {}) {
  let at = 0;
  const ends: string[] = [];
  const reasons: string[] = [];
  const guard = createConnectionGuard(() => at, { ...GUARD_LIMITS, ...edit }, (reason) => reasons.push(reason));
  return {
    guard,
    ends,
    reasons,
    accept: (name: string) =>
      guard.accept({ close: () => ends.push(`${name} closed`), destroy: () => ends.push(`${name} destroyed`) }),
    pass(ms: number) {
      at += ms;
      guard.sweep();
    },
  };
}

test("createConnectionGuard() ends who has not asked within 32 s, whatever bytes came", () => {
  const { accept, ends, pass, reasons } = createGuarded();
  accept("silent");
  pass(31_999);
  assert.deepEqual(ends, []);
  pass(1);
  assert.deepEqual(ends, ["silent destroyed"]);
  assert.deepEqual(reasons, ["stranger timeout"]);
});

test("createConnectionGuard() closes somebody's idle connection after 90 s, never one with a request", () => {
  const { accept, ends, pass } = createGuarded();
  const known = accept("known")!;
  known.authenticated();
  const watch = known.startRequest(() => ends.push("aborted"), true);
  watch.markStreaming();
  pass(3_600_000);
  assert.deepEqual(ends, []);
  watch.finished();
  pass(89_999);
  assert.deepEqual(ends, []);
  pass(1);
  assert.deepEqual(ends, ["known closed"]);
});

test("createConnectionGuard() aborts a request that takes longer than a minute", () => {
  const { accept, ends, pass } = createGuarded();
  const known = accept("known")!;
  known.authenticated();
  known.startRequest(() => ends.push("first aborted"), true);
  pass(60_000);
  known.startRequest(() => ends.push("second aborted"), true);
  pass(5_000);
  assert.deepEqual(ends, ["first aborted"]);
});

test("createConnectionGuard() ends strangers beyond a thousand, the longest idle first, none before 5 s", () => {
  const { accept, ends, pass } = createGuarded();
  for (let index = 0; index < 1_500; index++) accept(`${index}`);
  pass(4_999);
  assert.equal(ends.length, 0);
  pass(1);
  assert.equal(ends.length, 500);
  assert.deepEqual(ends.slice(0, 2), ["0 destroyed", "1 destroyed"]);
});

test("createConnectionGuard() lets a storm of 5,000 in that asks in time", () => {
  const { accept, ends, pass } = createGuarded();
  const storm = Array.from({ length: 5_000 }, (_, index) => accept(`${index}`)!);
  pass(4_000);
  for (const connection of storm) {
    connection.startRequest(() => {}, true);
    connection.authenticated();
  }
  pass(60_000);
  assert.deepEqual(ends, []);
});

test("createConnectionGuard() makes room for a newcomer, and refuses it only when nobody can give way", () => {
  const { accept, ends, guard } = createGuarded({ maxConnections: 2 });
  const first = accept("first")!;
  const second = accept("second")!;
  first.authenticated();
  first.startRequest(() => {}, true);
  second.startRequest(() => {}, true).finished();
  accept("third");
  assert.deepEqual(ends, ["second destroyed"]);
  second.closed();
  second.closed();
  assert.equal(guard.size, 2);
});

test("createConnectionGuard() refuses a newcomer when everybody is busy", () => {
  const { accept, ends, reasons } = createGuarded({ maxConnections: 1 });
  accept("first")!.startRequest(() => {}, true);
  assert.equal(accept("second"), undefined);
  assert.deepEqual(ends, ["second destroyed"]);
  assert.deepEqual(reasons, ["too many connections"]);
});

test("createConnectionGuard() ends a stranger that asks and asks, never somebody who does", () => {
  const { accept, ends, reasons } = createGuarded();
  const known = accept("known")!;
  known.authenticated();
  const stranger = accept("stranger")!;
  const plain = accept("one after another")!;
  for (let index = 0; index <= 200; index++) {
    known.startRequest(() => {}, true).finished();
    plain.startRequest(() => {}, false).finished();
    stranger.startRequest(() => {}, true).finished();
  }
  assert.deepEqual(ends, ["stranger destroyed"]);
  assert.deepEqual(reasons, ["stranger flood"]);
});

/** So many requests that are cancelled on it. */
function cancel(connection: ReturnType<ReturnType<typeof createGuarded>["accept"]>, count: number): void {
  for (let index = 0; index < count; index++) connection!.startRequest(() => {}, true).cancelled();
}

test("createConnectionGuard() ends a connection of a user that cancels and cancels, on whichever connection", () => {
  const { accept, ends, reasons, pass } = createGuarded();
  const open = (name: string, user: string) => {
    const connection = accept(name)!;
    connection.authenticated(user);
    return connection;
  };
  cancel(open("informers", "controller"), 2_100);
  assert.deepEqual(ends, []);
  const first = open("first", "token");
  cancel(first, 2_101);
  // What is cancelled by its end, before it is gone and after.
  cancel(first, 10_000);
  first.closed();
  cancel(first, 10_000);
  assert.deepEqual(ends, ["first destroyed"]);
  assert.deepEqual(reasons, ["too many cancelled requests"]);
  cancel(open("second", "token"), 101);
  assert.deepEqual(ends, ["first destroyed", "second destroyed"]);
  // A node cancels its one watch, whatever others did with the token that all have.
  cancel(open("a node", "token"), 100);
  cancel(open("somebody else", "other"), 101);
  pass(1_000);
  const later = open("later", "token");
  cancel(later, 200);
  assert.equal(ends.length, 2);
  cancel(later, 1);
  assert.equal(ends.length, 3);
});

test("createConnectionGuard() does not count requests that were answered, nor those of a connection of HTTP/1.1", () => {
  const { accept, ends } = createGuarded({ maxCancelledRequests: 1, userCancellationBurst: 1 });
  const known = accept("known")!;
  known.authenticated("somebody");
  for (let index = 0; index < 10; index++) {
    const request = known.startRequest(() => {}, true);
    request.finished();
    request.cancelled();
    known.startRequest(() => {}, false).cancelled();
  }
  assert.deepEqual(ends, []);
});

test("createConnectionGuard() does not count requests that it aborts itself", () => {
  const { accept, ends, pass } = createGuarded({ maxCancelledRequests: 0, userCancellationBurst: 0 });
  const known = accept("known")!;
  known.authenticated("somebody");
  const request = known.startRequest(() => request.cancelled(), true);
  pass(65_000);
  assert.deepEqual(ends, []);
});

test("createConnectionGuard() gives a certificate no more to cancel before a request says whose it is", () => {
  const { accept, ends } = createGuarded();
  const known = accept("known")!;
  known.authenticated();
  cancel(known, 100);
  assert.deepEqual(ends, []);
  cancel(known, 1);
  assert.deepEqual(ends, ["known destroyed"]);
});

test("createConnectionGuard() gives who is recognised before it asks the time of somebody", () => {
  const { accept, ends, pass } = createGuarded();
  const known = accept("known")!;
  pass(1_000);
  known.authenticated();
  pass(89_999);
  assert.deepEqual(ends, []);
  pass(1);
  assert.deepEqual(ends, ["known closed"]);
});
