import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createFlowControl, type Share } from "./flow_control.ts";
import { OverloadError } from "./overload_error.ts";
import type { Place } from "./priority_levels.ts";

const { signal } = new AbortController();
const open = () => signal;
const place = (flow: string): Place => ({ level: "global-default", flow });

/** One seat for each level, and nothing to borrow. */
function createTight() {
  const rejected: string[] = [];
  const clock = createFakeClock();
  const flow = createFlowControl({ clock, seats: 1, onRejected: (_, reason) => rejected.push(reason) });
  return { flow, clock, rejected };
}

/** Who got a seat, in order; each leaves at once. */
function seatAll(entering: readonly (readonly [string, Promise<Share>])[]): Promise<readonly string[]> {
  const order: string[] = [];
  return Promise.all(entering.map(([name, share]) =>
    share.then((own) => {
      order.push(name);
      own.leave();
    }, (error: unknown) => {
      assert.ok(error instanceof OverloadError);
      order.push(`${name}: ${error.reason}`);
    })
  )).then(() => order);
}

test("enter() lets flows take turns: who asks once does not wait for who asks often", async () => {
  const { flow } = createTight();
  const first = await flow.enter(place("flood"), open);
  const waiting = [
    ...Array.from({ length: 5 }, (_, index) => [`flood ${index}`, flow.enter(place("flood"), open)] as const),
    ["honest", flow.enter(place("honest"), open)] as const,
  ];
  assert.equal(flow.figures()["global-default"].waiting, 6);
  first.leave();
  const order = await seatAll(waiting);
  assert.deepEqual(order.slice(0, 3), ["flood 0", "honest", "flood 1"]);
  assert.deepEqual(flow.figures()["global-default"], { seated: 0, waiting: 0, seats: 1 });
});

test("enter() lets other levels in at once while one is full", async () => {
  const { flow } = createTight();
  await flow.enter(place("flood"), open);
  for (const level of ["leader-election", "node-high", "system", "workload-high", "workload-low"] as const) {
    await flow.enter({ level, flow: "controller" }, open);
  }
});

test("enter() drives a flood out of a full queue before anybody else", async () => {
  const { flow, rejected } = createTight();
  const first = await flow.enter(place("flood"), open);
  const flood = Array.from(
    { length: 7_000 },
    () => flow.enter(place("flood"), open).then((own) => own.leave(), () => 0),
  );
  assert.equal(flow.figures()["global-default"].waiting, 6_400);
  assert.equal(rejected.length, 600);
  const honest = flow.enter(place("honest"), open);
  assert.equal(rejected.length, 601);
  first.leave();
  (await honest).leave();
  await Promise.all(flood);
  assert.deepEqual(new Set(rejected), new Set(["queue-full"]));
});

test("enter() turns away who has waited a quarter of a minute", async () => {
  const { flow, clock, rejected } = createTight();
  await flow.enter(place("a"), open);
  const late = assert.rejects(flow.enter(place("b"), open), OverloadError);
  await clock.advance(15_000);
  await late;
  assert.deepEqual(rejected, ["time-out"]);
  assert.equal(flow.figures()["global-default"].waiting, 0);
});

test("enter() forgets a client that goes away while it waits", async () => {
  const { flow, rejected } = createTight();
  await flow.enter(place("a"), open);
  const client = new AbortController();
  const gone = assert.rejects(flow.enter(place("b"), () => client.signal), OverloadError);
  client.abort(new Error("gone"));
  await gone;
  assert.deepEqual(rejected, ["cancelled"]);
  assert.equal(flow.figures()["global-default"].waiting, 0);
});

test("Share.aside() gives the seat to others while a client sends", async () => {
  const { flow } = createTight();
  const slow = await flow.enter(place("slow"), open);
  const sending = Promise.withResolvers<string>();
  const sent = slow.aside(() => sending.promise);
  const other = await flow.enter(place("other"), open);
  sending.resolve("body");
  other.leave();
  assert.equal(await sent, "body");
  assert.equal(flow.figures()["global-default"].seated, 1);
  slow.leave();
  slow.leave();
  assert.equal(flow.figures()["global-default"].seated, 0);
});

test("Share.hold() gives up the largest bodies when all together are too large, never a small one", async () => {
  const flow = createFlowControl({ clock: createFakeClock(), seats: 600 });
  const never = () => new Promise<never>(() => {});
  const small = await flow.enter(place("small"), open);
  small.hold(2_000);
  let refused = 0;
  for (let index = 0; index < 100; index++) {
    const large = await flow.enter(place("large"), open);
    large.aside(never).catch(() => refused++);
    large.hold(3_145_728);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(refused, 100 - 42);
  assert.equal(await small.aside(() => Promise.resolve("whole")), "whole");
});

test("enter() gives a seat that was lent back to its level before others borrow it", async () => {
  const flow = createFlowControl({ clock: createFakeClock(), seats: 600 });
  const borrow = () => flow.enter({ level: "node-high", flow: "node" }, open);
  const borrowed: Share[] = [];
  const rest = () => flow.figures()["node-high"];
  for (let index = 0; rest().waiting === 0; index++) {
    borrow().then((own) => borrowed.push(own), () => {});
    await new Promise((resolve) => setImmediate(resolve));
  }
  const own = { level: "workload-low", flow: "account" } as const;
  for (let kept = 0; kept < 25; kept++) await flow.enter(own, open);
  const lent = flow.enter(own, open);
  assert.equal(flow.figures()["workload-low"].waiting, 1);
  borrowed[0]?.leave();
  await lent;
  assert.deepEqual([flow.figures()["workload-low"].seated, rest().waiting], [26, 1]);
});

const MIB = 1_048_576;

/** A large body that has been read and waits for the seat that another request has taken meanwhile. */
async function createWaitingBody() {
  const tight = createTight();
  const read = await tight.flow.enter(place("read"), open);
  read.hold(100 * MIB);
  const sending = Promise.withResolvers<string>();
  const sent = read.aside(() => sending.promise);
  const busy = await tight.flow.enter(place("busy"), open);
  sending.resolve("body");
  await new Promise((resolve) => setImmediate(resolve));
  return { ...tight, read, sent, busy };
}

test("Share.hold() gives up a body that waits for a seat after it was read, and it waits no more", async () => {
  const { flow, rejected, read, sent, busy } = await createWaitingBody();
  assert.equal(flow.figures()["global-default"].waiting, 1);
  const other = await flow.enter({ level: "system", flow: "other" }, open);
  other.hold(50 * MIB);
  await assert.rejects(sent, OverloadError);
  assert.deepEqual([flow.figures()["global-default"].waiting, rejected], [0, ["queue-full"]]);
  read.leave();
  busy.leave();
  assert.equal(flow.figures()["global-default"].seated, 0);
});

test("Share.hold() gives up a body between its seat and its service, and the seat is free again", async () => {
  const { flow, rejected, read, sent, busy } = await createWaitingBody();
  const other = await flow.enter({ level: "system", flow: "other" }, open);
  busy.leave();
  other.hold(50 * MIB);
  await assert.rejects(sent, OverloadError);
  assert.deepEqual(rejected, ["queue-full"]);
  read.leave();
  assert.equal(flow.figures()["global-default"].seated, 0);
});

test("Share.hold() never gives up a body that is served, and counts it until its request leaves", async () => {
  const flow = createFlowControl({ clock: createFakeClock(), seats: 600 });
  const served = await flow.enter(place("served"), open);
  await served.aside(() => Promise.resolve(served.hold(100 * MIB)));
  const refusedWith = async (bytes: number) => {
    const next = await flow.enter(place("next"), open);
    const outcome = await next.aside(() => Promise.resolve(next.hold(bytes))).then(() => "served", () => "refused");
    next.leave();
    return outcome;
  };
  assert.equal(await refusedWith(28 * MIB), "served");
  assert.equal(await refusedWith(29 * MIB), "refused");
  served.leave();
  assert.equal(await refusedWith(29 * MIB), "served");
});
