import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { LARGE_BODY_BYTES } from "../http/limits.ts";
import { parseRequestInfo } from "../http/request_info.ts";
import {
  createFlowControl,
  findPlace,
  type FlowControl,
  hasFreeSeat,
  LEVEL_NAMES,
  type LevelName,
  OverloadError,
  type Place,
  planSeats,
  type Seat,
} from "./flow_control.ts";
import type { UserInfo } from "../../core/kube/user.ts";

const { signal } = new AbortController();
const open = () => signal;
const place = (flow: string): Place => ({ level: "global-default", flow });

/** Flow control with one seat for each level, and no seat to borrow. */
function createTight() {
  const rejected: string[] = [];
  const clock = createFakeClock();
  const flow = createFlowControl({ clock, seats: 1, onRejected: (_, reason) => rejected.push(reason) });
  return { flow, clock, rejected };
}

/** Records the order in which requests get a seat; each releases it at once. */
function seatAll(entering: readonly (readonly [string, Promise<Seat>])[]): Promise<readonly string[]> {
  const order: string[] = [];
  return Promise.all(entering.map(([name, seat]) =>
    seat.then((own) => {
      order.push(name);
      own.release();
    }, (error: unknown) => {
      assert.ok(error instanceof OverloadError);
      order.push(`${name}: ${error.reason}`);
    })
  )).then(() => order);
}

test("acquireSeat() lets flows take turns: a single request does not wait for a flood", async () => {
  const { flow } = createTight();
  const first = await flow.acquireSeat(place("flood"), open);
  const waiting = [
    ...Array.from({ length: 5 }, (_, index) => [`flood ${index}`, flow.acquireSeat(place("flood"), open)] as const),
    ["honest", flow.acquireSeat(place("honest"), open)] as const,
  ];
  assert.equal(flow.figures()["global-default"].waiting, 6);
  first.release();
  const order = await seatAll(waiting);
  assert.deepEqual(order.slice(0, 3), ["flood 0", "honest", "flood 1"]);
  assert.deepEqual(flow.figures()["global-default"], { executing: 0, waiting: 0, seats: 1 });
});

test("acquireSeat() serves other levels at once while one is full", async () => {
  const { flow } = createTight();
  await flow.acquireSeat(place("flood"), open);
  for (const level of ["leader-election", "node-high", "system", "workload-high", "workload-low"] as const) {
    await flow.acquireSeat({ level, flow: "controller" }, open);
  }
});

test("acquireSeat() removes requests of a flood from a full queue before others", async () => {
  const { flow, rejected } = createTight();
  const first = await flow.acquireSeat(place("flood"), open);
  const flood = Array.from(
    { length: 7_000 },
    () => flow.acquireSeat(place("flood"), open).then((own) => own.release(), () => 0),
  );
  assert.equal(flow.figures()["global-default"].waiting, 6_400);
  assert.equal(rejected.length, 600);
  const honest = flow.acquireSeat(place("honest"), open);
  assert.equal(rejected.length, 601);
  first.release();
  (await honest).release();
  await Promise.all(flood);
  assert.deepEqual(new Set(rejected), new Set(["queue-full"]));
});

test("acquireSeat() rejects a request that has waited 15 seconds", async () => {
  const { flow, clock, rejected } = createTight();
  await flow.acquireSeat(place("a"), open);
  const late = assert.rejects(flow.acquireSeat(place("b"), open), OverloadError);
  await clock.advance(15_000);
  await late;
  assert.deepEqual(rejected, ["time-out"]);
  assert.equal(flow.figures()["global-default"].waiting, 0);
});

test("acquireSeat() removes a client that disconnects while it waits", async () => {
  const { flow, rejected } = createTight();
  await flow.acquireSeat(place("a"), open);
  const client = new AbortController();
  const gone = assert.rejects(flow.acquireSeat(place("b"), () => client.signal), OverloadError);
  client.abort(new Error("gone"));
  await gone;
  assert.deepEqual(rejected, ["cancelled"]);
  assert.equal(flow.figures()["global-default"].waiting, 0);
});

test("Seat.yieldWhile() gives the seat to other requests while a client sends", async () => {
  const { flow } = createTight();
  const slow = await flow.acquireSeat(place("slow"), open);
  const sending = Promise.withResolvers<string>();
  const sent = slow.yieldWhile(() => sending.promise);
  const other = await flow.acquireSeat(place("other"), open);
  sending.resolve("body");
  other.release();
  assert.equal(await sent, "body");
  assert.equal(flow.figures()["global-default"].executing, 1);
  slow.release();
  slow.release();
  assert.equal(flow.figures()["global-default"].executing, 0);
});

/** Reads a large body in the seat of a new request; resolves when the request may be served. */
async function readLarge(
  flow: FlowControl,
  of: string,
  { bytes = LARGE_BODY_BYTES, client = open }: { readonly bytes?: number; readonly client?: () => AbortSignal } = {},
): Promise<Seat> {
  const seat = await flow.acquireSeat(place(of), client);
  seat.holdBytes(bytes);
  try {
    await seat.yieldWhile(() => Promise.resolve());
  } catch (error) {
    seat.release();
    throw error;
  }
  return seat;
}

test("Seat.yieldWhile() lets one large body of a flow be served at a time, without a seat for the others", async () => {
  const clock = createFakeClock();
  const flow = createFlowControl({ clock, seats: 600 });
  const served: string[] = [];
  const serve = (name: string, reading: Promise<Seat>): Promise<Seat> =>
    reading.then((seat) => {
      served.push(name);
      return seat;
    });
  const first = await serve("a1", readLarge(flow, "a"));
  const second = serve("a2", readLarge(flow, "a"));
  const client = new AbortController();
  const gone = assert.rejects(readLarge(flow, "a", { client: () => client.signal }), OverloadError);
  const third = serve("a4", readLarge(flow, "a"));
  const small = await serve("small", readLarge(flow, "a", { bytes: LARGE_BODY_BYTES - 1 }));
  const other = await serve("b", readLarge(flow, "b"));
  assert.equal(flow.figures()["global-default"].executing, 3);
  client.abort(new Error("gone"));
  await gone;
  assert.deepEqual(served, ["a1", "small", "b"]);
  first.release();
  const next = await second;
  assert.deepEqual(served, ["a1", "small", "b", "a2"]);
  next.release();
  next.release();
  const last = await third;
  const late = assert.rejects(readLarge(flow, "a"), OverloadError);
  await clock.advance(15_000);
  await late;
  for (const seat of [last, small, other]) seat.release();
  (await readLarge(flow, "a")).release();
  assert.equal(flow.figures()["global-default"].executing, 0);
});

test("Seat.holdBytes() evicts the largest bodies when all together are too large, never a small one", async () => {
  const flow = createFlowControl({ clock: createFakeClock(), seats: 600 });
  const never = () => new Promise<never>(() => {});
  const small = await flow.acquireSeat(place("small"), open);
  small.holdBytes(2_000);
  let refused = 0;
  for (let index = 0; index < 100; index++) {
    const large = await flow.acquireSeat(place("large"), open);
    large.yieldWhile(never).catch(() => refused++);
    large.holdBytes(3_145_728);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(refused, 100 - 42);
  assert.equal(await small.yieldWhile(() => Promise.resolve("whole")), "whole");
});

test("acquireSeat() returns a lent seat to its level before other levels borrow it", async () => {
  const flow = createFlowControl({ clock: createFakeClock(), seats: 600 });
  const borrow = () => flow.acquireSeat({ level: "node-high", flow: "node" }, open);
  const borrowed: Seat[] = [];
  const rest = () => flow.figures()["node-high"];
  for (let index = 0; rest().waiting === 0; index++) {
    borrow().then((own) => borrowed.push(own), () => {});
    await new Promise((resolve) => setImmediate(resolve));
  }
  const own = { level: "workload-low", flow: "account" } as const;
  for (let kept = 0; kept < 24; kept++) await flow.acquireSeat(own, open);
  const lent = flow.acquireSeat(own, open);
  assert.equal(flow.figures()["workload-low"].waiting, 1);
  borrowed[0]?.release();
  await lent;
  assert.deepEqual([flow.figures()["workload-low"].executing, rest().waiting], [25, 1]);
});

const MIB = 1_048_576;

/** Creates a large body that has been read and waits for a seat that another request occupies. */
async function createWaitingBody() {
  const tight = createTight();
  const read = await tight.flow.acquireSeat(place("read"), open);
  read.holdBytes(100 * MIB);
  const sending = Promise.withResolvers<string>();
  const sent = read.yieldWhile(() => sending.promise);
  const busy = await tight.flow.acquireSeat(place("busy"), open);
  sending.resolve("body");
  await new Promise((resolve) => setImmediate(resolve));
  return { ...tight, read, sent, busy };
}

test("Seat.holdBytes() evicts a body that waits for a seat after it was read, and ends the wait", async () => {
  const { flow, rejected, read, sent, busy } = await createWaitingBody();
  assert.equal(flow.figures()["global-default"].waiting, 1);
  const other = await flow.acquireSeat({ level: "system", flow: "other" }, open);
  other.holdBytes(50 * MIB);
  await assert.rejects(sent, OverloadError);
  assert.deepEqual([flow.figures()["global-default"].waiting, rejected], [0, ["queue-full"]]);
  read.release();
  busy.release();
  assert.equal(flow.figures()["global-default"].executing, 0);
});

test("Seat.holdBytes() evicts a body between its seat and its service, and the seat is free again", async () => {
  const { flow, rejected, read, sent, busy } = await createWaitingBody();
  const other = await flow.acquireSeat({ level: "system", flow: "other" }, open);
  busy.release();
  other.holdBytes(50 * MIB);
  await assert.rejects(sent, OverloadError);
  assert.deepEqual(rejected, ["queue-full"]);
  read.release();
  assert.equal(flow.figures()["global-default"].executing, 0);
});

test("Seat.holdBytes() never evicts a body that is served, and counts it until its request ends", async () => {
  const flow = createFlowControl({ clock: createFakeClock(), seats: 600 });
  const served = await flow.acquireSeat(place("served"), open);
  await served.yieldWhile(() => Promise.resolve(served.holdBytes(100 * MIB)));
  const refusedWith = async (bytes: number) => {
    const next = await flow.acquireSeat(place("next"), open);
    const outcome = await next.yieldWhile(() => Promise.resolve(next.holdBytes(bytes))).then(
      () => "served",
      () => "refused",
    );
    next.release();
    return outcome;
  };
  assert.equal(await refusedWith(28 * MIB), "served");
  assert.equal(await refusedWith(29 * MIB), "refused");
  served.release();
  assert.equal(await refusedWith(29 * MIB), "served");
});

const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const ATTESTATIONS = "/apis/tlsboot/v1alpha1/nodeattestations";
const NODE = ["system:node:a", "system:nodes"] as const;
const SIGNER = ["system:serviceaccount:kube-system:signer", "system:serviceaccounts"] as const;

for (
  const { user: [username, ...groups], method = "GET", path, want } of [
    { user: ["root", "system:masters"], path: CSRS, want: undefined },
    { user: ["system:anonymous", "system:unauthenticated"], path: "/livez", want: undefined },
    { user: ["system:anonymous"], path: "/livez/ping", want: "global-default global-default/system:anonymous" },
    {
      user: ["system:anonymous"],
      method: "POST",
      path: "/livez",
      want: "global-default global-default/system:anonymous",
    },
    { user: ["root", "system:masters"], method: "POST", path: ATTESTATIONS, want: undefined },
    {
      user: ["system:anonymous"],
      method: "POST",
      path: ATTESTATIONS,
      want: "node-attestation node-attestation/192.0.2.7",
    },
    { user: NODE, method: "PUT", path: `${LEASES}/a`, want: "node-high system-node-high/system:node:a" },
    { user: NODE, method: "PATCH", path: "/api/v1/nodes/a/status", want: "node-high system-node-high/system:node:a" },
    { user: NODE, method: "POST", path: CSRS, want: "system system-nodes/system:node:a" },
    { user: NODE, path: "/version", want: "system system-nodes/system:node:a" },
    { user: SIGNER, method: "PUT", path: `${LEASES}/a`, want: `leader-election system-leader-election/${SIGNER[0]}` },
    { user: SIGNER, path: LEASES, want: "workload-high kube-system-service-accounts/kube-system" },
    { user: SIGNER, path: CSRS, want: "workload-high kube-system-service-accounts/" },
    { user: ["system:kube-controller-manager"], path: CSRS, want: "workload-high kube-controller-manager/" },
    {
      user: ["system:serviceaccount:a:b", "system:serviceaccounts"],
      path: CSRS,
      want: "workload-low service-accounts/system:serviceaccount:a:b",
    },
    {
      user: ["system:bootstrap:abcdef", "system:bootstrappers"],
      method: "POST",
      path: CSRS,
      want: "global-default global-default/system:bootstrap:abcdef",
    },
  ] as readonly { user: readonly [string, ...string[]]; method?: string; path: string; want: string | undefined }[]
) {
  test(`findPlace() puts ${method} ${path} of ${username} at ${want?.split(" ")[0] ?? "no level"}`, () => {
    const user: UserInfo = { username, uid: "", groups, extra: {} };
    const place = findPlace(user, parseRequestInfo(method, path, new URLSearchParams()), "192.0.2.7");
    assert.equal(place === undefined ? undefined : `${place.level} ${place.flow}`, want);
  });
}

const NO_SEATS_TAKEN = Object.fromEntries(LEVEL_NAMES.map((name) => [name, 0])) as Record<LevelName, number>;

test("planSeats() distributes 600 seats like kube-apiserver, with our own level in place of its catch-all level", () => {
  assert.deepEqual(planSeats(600).byLevel, {
    "leader-election": { nominal: 25, kept: 25 },
    "node-high": { nominal: 98, kept: 73 },
    "system": { nominal: 74, kept: 50 },
    "workload-high": { nominal: 98, kept: 49 },
    "workload-low": { nominal: 245, kept: 24 },
    "global-default": { nominal: 49, kept: 24 },
    "node-attestation": { nominal: 13, kept: 6 },
  });
});

test("hasFreeSeat() lends free seats, but not those that a level keeps", () => {
  const seats = planSeats(600);
  let flood = 0;
  while (hasFreeSeat(seats, { ...NO_SEATS_TAKEN, "global-default": flood }, "global-default")) flood++;
  assert.equal(flood, 600 - 25 - 73 - 50 - 49 - 24 - 6);
  for (const name of LEVEL_NAMES.filter((other) => other !== "global-default")) {
    assert.ok(hasFreeSeat(seats, { ...NO_SEATS_TAKEN, "global-default": flood }, name), name);
  }
});

test("hasFreeSeat() always keeps a seat for each level, even with a single seat", () => {
  const seats = planSeats(1);
  for (const name of LEVEL_NAMES) {
    assert.ok(hasFreeSeat(seats, { ...NO_SEATS_TAKEN, "global-default": 1 }, name) === (name !== "global-default"));
  }
});

test("hasFreeSeat() never exceeds the number of seats, in whatever order the levels fill up", () => {
  const seats = planSeats(600);
  for (const first of LEVEL_NAMES) {
    const seated = { ...NO_SEATS_TAKEN };
    for (const name of [first, ...LEVEL_NAMES]) while (hasFreeSeat(seats, seated, name)) seated[name]++;
    assert.equal(Object.values(seated).reduce((sum, count) => sum + count, 0), 600, first);
    for (const name of LEVEL_NAMES) assert.ok(seated[name] >= seats.byLevel[name].kept, name);
  }
});
