import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionGuard, GUARD_LIMITS, type GuardLimits } from "./connection_guard.ts";

/** Creates a guard with a clock that the test moves, and records the end of each connection. */
function createGuarded(edit: Partial<GuardLimits> = {}) {
  let at = 0;
  const ends: string[] = [];
  const reasons: string[] = [];
  const guard = new ConnectionGuard(() => at, { ...GUARD_LIMITS, ...edit }, (reason) => reasons.push(reason));
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

test("ConnectionGuard ends a connection without a request within 32 s, whatever bytes arrived", () => {
  const { accept, ends, pass, reasons } = createGuarded();
  accept("silent");
  pass(31_999);
  assert.deepEqual(ends, []);
  pass(1);
  assert.deepEqual(ends, ["silent destroyed"]);
  assert.deepEqual(reasons, ["unauthenticated timeout"]);
});

test("ConnectionGuard closes an authenticated idle connection after 90 s, never one with a request", () => {
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

test("ConnectionGuard aborts a request that takes longer than a minute", () => {
  const { accept, ends, pass } = createGuarded();
  const known = accept("known")!;
  known.authenticated();
  known.startRequest(() => ends.push("first aborted"), true);
  pass(60_000);
  known.startRequest(() => ends.push("second aborted"), true);
  pass(5_000);
  assert.deepEqual(ends, ["first aborted"]);
});

test("ConnectionGuard ends unauthenticated connections beyond a thousand, the longest idle first, none before 5 s", () => {
  const { accept, ends, pass } = createGuarded();
  for (let index = 0; index < 1_500; index++) accept(`${index}`);
  pass(4_999);
  assert.equal(ends.length, 0);
  pass(1);
  assert.equal(ends.length, 500);
  assert.deepEqual(ends.slice(0, 2), ["0 destroyed", "1 destroyed"]);
});

test("ConnectionGuard accepts a burst of 5,000 connections that send a request in time", () => {
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

test("ConnectionGuard closes an idle unauthenticated connection for a new one", () => {
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

test("ConnectionGuard refuses a new connection when all others are busy", () => {
  const { accept, ends, reasons } = createGuarded({ maxConnections: 1 });
  accept("first")!.startRequest(() => {}, true);
  assert.equal(accept("second"), undefined);
  assert.deepEqual(ends, ["second destroyed"]);
  assert.deepEqual(reasons, ["too many connections"]);
});

test("ConnectionGuard ends an unauthenticated connection with many requests, never an authenticated one", () => {
  const { accept, ends, reasons } = createGuarded();
  const known = accept("known")!;
  known.authenticated();
  const unauthenticated = accept("unauthenticated")!;
  const plain = accept("one after another")!;
  for (let index = 0; index <= 200; index++) {
    known.startRequest(() => {}, true).finished();
    plain.startRequest(() => {}, false).finished();
    unauthenticated.startRequest(() => {}, true).finished();
  }
  assert.deepEqual(ends, ["unauthenticated destroyed"]);
  assert.deepEqual(reasons, ["too many unauthenticated requests"]);
});

/** Begins and cancels this number of requests on a connection. */
function cancel(connection: ReturnType<ReturnType<typeof createGuarded>["accept"]>, count: number): void {
  for (let index = 0; index < count; index++) connection!.startRequest(() => {}, true).cancelled();
}

test("ConnectionGuard ends a connection of a user who cancels many requests on any connections", () => {
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
  // Requests that the end of the connection cancels do not count, before or after it is closed.
  cancel(first, 10_000);
  first.closed();
  cancel(first, 10_000);
  assert.deepEqual(ends, ["first destroyed"]);
  assert.deepEqual(reasons, ["too many cancelled requests"]);
  cancel(open("second", "token"), 101);
  assert.deepEqual(ends, ["first destroyed", "second destroyed"]);
  // A node may cancel its one watch, even if other nodes with the same token cancelled many.
  cancel(open("a node", "token"), 100);
  cancel(open("another user", "other"), 101);
  pass(1_000);
  const later = open("later", "token");
  cancel(later, 200);
  assert.equal(ends.length, 2);
  cancel(later, 1);
  assert.equal(ends.length, 3);
});

test("ConnectionGuard does not count requests that were answered, nor those of a connection of HTTP/1.1", () => {
  const { accept, ends } = createGuarded({ maxCancelledRequests: 1, userCancellationBurst: 1 });
  const known = accept("known")!;
  known.authenticated("jane");
  for (let index = 0; index < 10; index++) {
    const request = known.startRequest(() => {}, true);
    request.finished();
    request.cancelled();
    known.startRequest(() => {}, false).cancelled();
  }
  assert.deepEqual(ends, []);
});

test("ConnectionGuard does not count requests that it aborts itself", () => {
  const { accept, ends, pass } = createGuarded({ maxCancelledRequests: 0, userCancellationBurst: 0 });
  const known = accept("known")!;
  known.authenticated("jane");
  const request = known.startRequest(() => request.cancelled(), true);
  pass(65_000);
  assert.deepEqual(ends, []);
});

test("ConnectionGuard does not let a certificate cancel more requests before the user is known", () => {
  const { accept, ends } = createGuarded();
  const known = accept("known")!;
  known.authenticated();
  cancel(known, 100);
  assert.deepEqual(ends, []);
  cancel(known, 1);
  assert.deepEqual(ends, ["known destroyed"]);
});

test("ConnectionGuard gives an authenticated connection without a request the longer timeout", () => {
  const { accept, ends, pass } = createGuarded();
  const known = accept("known")!;
  pass(1_000);
  known.authenticated();
  pass(89_999);
  assert.deepEqual(ends, []);
  pass(1);
  assert.deepEqual(ends, ["known closed"]);
});
