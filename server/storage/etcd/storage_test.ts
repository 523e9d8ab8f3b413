import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import { test } from "node:test";
import { EtcdModel } from "../../../tests/simulation/etcd_model.ts";
import { createRealAfter } from "../../../tests/support/fake_after.ts";
import { createFakeClock, settle, until } from "../../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../../tests/support/seeded_random.ts";
import { JSON_VALUES } from "../../../tests/support/stored_things.ts";
import { Engine } from "../memory/engine.ts";
import { GRPC_STATUS, GrpcError, type GrpcServer } from "./grpc.ts";
import { EventLeases } from "./leases.ts";
import type { EtcdMirror } from "./mirror.ts";
import { EtcdStorage, type EtcdStorageParts, openEtcdStorage } from "./storage.ts";
import type { GuardedWrite } from "./wire.ts";
import { createStored } from "../stored.ts";
import type { Write } from "../storage.ts";
import { encodeModelStatus } from "../../../tests/simulation/etcd_messages.ts";

/** Creates a store of one object, `/registry/a` of revision 2, whose mirror is current unless a test replaces it. */
function createStorage(
  { client = {}, mirror = {}, values = {} }: {
    readonly client?: Partial<EtcdStorageParts["client"]>;
    readonly mirror?: Partial<EtcdMirror>;
    readonly values?: Partial<EtcdStorageParts["values"]>;
  },
) {
  const engine = new Engine({
    revision: 2,
    compactedRevision: 2,
    base: [createStored("/registry/a", { metadata: { name: "a" } }, 2)],
    changes: [],
  });
  /** The parts that were stopped and the leases that were granted, in order. */
  const ended: string[] = [];
  let leases = 0n;
  const grantLease = async () => {
    ended.push("lease");
    return ++leases;
  };
  const clock = createFakeClock();
  const storage = new EtcdStorage({
    name: "etcd",
    client: {
      range: async () => ({ revision: 2, kvs: [], more: false, count: 0 }),
      write: async () => ({ succeeded: true, revision: 3, current: [] }),
      status: async () => ({ version: "3.7.0", errors: [] }),
      close: () => void ended.push("client"),
      ...client,
    },
    mirror: {
      engine,
      isFollowing: true,
      reach: async () => undefined,
      take: async () => undefined,
      expect: () => () => void ended.push("write"),
      close: () => void ended.push("mirror"),
      ...mirror,
    } as unknown as EtcdMirror,
    leases: new EventLeases({ grantLease }, clock, 3_600_000),
    clock,
    values: {
      ...{ root: "/registry/", prefixes: [], encode: () => Buffer.alloc(0), decode: () => undefined },
      ...{ isDecoded: () => false, ...values },
    },
    stop: async () => void ended.push("compactor"),
  });
  return { storage, engine, clock, ended };
}

const ENDPOINTS = { servers: ["etcd"], caPem: undefined, certificate: undefined, prefix: "/registry" };

test("openEtcdStorage() refuses an address without servers", async () => {
  const endpoints = { ...ENDPOINTS, servers: [] };
  const opening = openEtcdStorage({ endpoints, members: [], values: JSON_VALUES, clock: createFakeClock() });
  await assert.rejects(opening, { code: "usage", message: "cannot use etcd: no server is named" });
});

test("openEtcdStorage() refuses an old etcd, and closes its connection", async () => {
  let closed = 0;
  const member: GrpcServer = {
    begin(_path, _message, { onMessage, onEnd }) {
      queueMicrotask(() => {
        onMessage(encodeModelStatus(1, "3.5.12"));
        onEnd(undefined);
      });
      return { write: () => undefined, cancel: () => undefined };
    },
    close: () => void closed++,
  };
  const deps = { endpoints: ENDPOINTS, members: [member], values: JSON_VALUES, clock: createFakeClock() };
  await assert.rejects(openEtcdStorage(deps), { code: "io", message: /^cannot use etcd 3\.5\.12/ });
  assert.equal(closed, 1);
});

test("openEtcdStorage() of several servers requests one compaction per interval, and logs a failure", async () => {
  using timers = createRealAfter();
  const model = new EtcdModel({ after: timers.after, random: createSeededRandom().float });
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  let compactions = 0;
  const open = async () => {
    const members = model.connect("server").map((member): GrpcServer => ({
      begin(path, message, listener, isOpen) {
        if (path !== "/etcdserverpb.KV/Compact") return member.begin(path, message, listener, isOpen);
        if (++compactions === 2) queueMicrotask(() => listener.onEnd(new GrpcError(GRPC_STATUS.internal, "odd")));
        else return member.begin(path, message, listener, isOpen);
        return { write: () => undefined, cancel: () => undefined };
      },
      close: () => member.close(),
    }));
    const deps = { endpoints: ENDPOINTS, members, values: JSON_VALUES, clock, logger, compactionIntervalMs: 60_000 };
    return (await openEtcdStorage(deps)).storage;
  };
  {
    await using _one = await open();
    await using _other = await open();
    for (const [want, failures] of [[0, 0], [1, 0], [2, 1], [3, 1]] as const) {
      await clock.advance(60_000);
      await until(() => clock.sleepers === 2);
      assert.deepEqual([compactions, logger.messages("warn").length], [want, failures]);
    }
  }
  const warnings = logger.entries.filter(({ level }) => level === "warn");
  assert.deepEqual(warnings.map(({ message, fields }) => [message, fields]), [
    ["cannot compact etcd", { error: "cannot write etcd: odd" }],
  ]);
});

test("EtcdStorage.health() fails only while etcd reports that it is full", async () => {
  let errors: readonly string[] = ["memberID:1 alarm:NOSPACE "];
  const { storage } = createStorage({ client: { status: async () => ({ version: "3.7.0", errors }) } });
  await assert.rejects(storage.health(), {
    code: "io",
    message: "cannot write etcd: etcdserver: mvcc: database space exceeded",
  });
  for (errors of [[], ["memberID:1 alarm:CORRUPT "]]) await storage.health();
});

test("EtcdStorage.health() leaves no timer", async () => {
  const countTimers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const { storage } = createStorage({});
  const before = countTimers();
  await storage.health();
  assert.ok(countTimers() <= before);
});

test("EtcdStorage.health() fails while the watch is broken", async () => {
  const { storage } = createStorage({ mirror: { isFollowing: false } });
  await assert.rejects(storage.health(), { code: "unreachable", message: /its watch is broken$/ });
});

test("EtcdStorage writes again with a new lease if the first one is gone", async () => {
  const sent: (bigint | undefined)[] = [];
  const { storage, engine } = createStorage({
    client: {
      async write([{ key, lease }]: readonly [GuardedWrite]) {
        sent.push(lease);
        if (lease === 1n) throw new Error("etcdserver: requested lease not found");
        const current = createStored(key, { metadata: { name: "e" } }, 3);
        engine.apply([{ event: { key, revision: 3, current }, at: 0 }], undefined);
        return { succeeded: true, revision: 3, current: [] };
      },
    },
  });
  assert.equal((await storage.create("/registry/events/x/e", { metadata: { name: "e" } })).revision, 3);
  assert.deepEqual(sent, [1n, 2n]);
});

test("EtcdStorage gets no lease for a deletion", async () => {
  const { storage, engine, ended } = createStorage({});
  const key = "/registry/events/x/e";
  const event = { key, revision: 3, current: createStored(key, { metadata: { name: "e" } }, 3) };
  engine.apply([{ event, at: 0 }], undefined);
  await storage.delete(key, 3);
  assert.deepEqual(ended, ["write"]);
});

test("EtcdStorage passes its writes to the mirror before it answers, and sends no empty transaction", async () => {
  const { storage, ended } = createStorage({
    client: {
      async write(writes) {
        ended.push(...writes.map(({ key }) => key));
        return { succeeded: true, revision: 3, current: [] };
      },
    },
    mirror: {
      async take(revision, own) {
        await settle();
        ended.push(...own.map(({ key }) => `${key} at ${revision}`));
      },
    },
  });
  assert.deepEqual(await storage.transact([]), []);
  assert.deepEqual(ended, []);
  await storage.delete("/registry/a", 2);
  assert.deepEqual(ended, ["/registry/a", "/registry/a at 3", "write"]);
});

test("EtcdStorage gives up if the second lease is gone too", async () => {
  let sent = 0;
  const { storage } = createStorage({
    client: {
      write() {
        sent++;
        return Promise.reject(new Error("etcdserver: requested lease not found"));
      },
    },
  });
  await assert.rejects(storage.create("/registry/events/x/e", { metadata: { name: "e" } }), /lease not found/);
  assert.equal(sent, 2);
});

/** Writes that the mirror allows, and that etcd refuses; `found` is the key that another server has written by then. */
const REFUSED: readonly {
  readonly name: string;
  readonly writes: readonly Write[];
  readonly found?: string;
  readonly error: { readonly code: string; readonly key: string };
}[] = [
  {
    name: "a creation, after whose refusal the key is gone again",
    writes: [{ kind: "create", key: "/registry/b/b", object: { metadata: {} } }],
    error: { code: "already_exists", key: "/registry/b/b" },
  },
  {
    name: "two creations of which the first exists",
    writes: ["/registry/b/b", "/registry/c/c"].map((key) => ({ kind: "create", key, object: { metadata: {} } })),
    found: "/registry/b/b",
    error: { code: "already_exists", key: "/registry/b/b" },
  },
  {
    name: "a creation, and an update after that of another server",
    writes: [
      { kind: "create", key: "/registry/b/b", object: { metadata: {} } },
      { kind: "update", key: "/registry/a", object: { metadata: {} }, expectedRevision: 2 },
    ],
    found: "/registry/a",
    error: { code: "conflict", key: "/registry/a" },
  },
  {
    name: "a creation with an update, after whose refusal the key is gone again",
    writes: [
      { kind: "update", key: "/registry/a", object: { metadata: {} }, expectedRevision: 2 },
      { kind: "create", key: "/registry/b/b", object: { metadata: {} } },
    ],
    error: { code: "already_exists", key: "/registry/b/b" },
  },
  {
    name: "an update of a state that only the mirror has",
    writes: [{ kind: "update", key: "/registry/a", object: { metadata: {} }, expectedRevision: 2 }],
    error: { code: "conflict", key: "/registry/a" },
  },
];
for (const { name, writes, found, error } of REFUSED) {
  test(`EtcdStorage reports the write whose condition was false: ${name}`, async () => {
    const reached: unknown[] = [];
    const { storage, engine } = createStorage({
      client: { write: async () => ({ succeeded: false, revision: 5, current: [] }) },
      mirror: {
        async reach(...revision) {
          reached.push(revision);
          if (found === undefined) return;
          const current = createStored(found, { metadata: {} }, 5);
          engine.apply([{ event: { key: found, revision: 5, current }, at: 0 }], undefined);
        },
      },
    });
    await assert.rejects(storage.transact(writes), error);
    assert.deepEqual(reached, [[5, true]]);
  });
}

test("EtcdStorage returns what it wrote, even if its mirror was loaded again at a later revision", async () => {
  const { storage, engine } = createStorage({
    client: {
      write([{ key }]: readonly [GuardedWrite]) {
        const current = createStored(key, { metadata: { name: "b", uid: "of another server" } }, 7);
        const change = { event: { key, revision: 7, current }, at: 0 };
        engine.apply([change], { revision: 7, count: 1, forgotten: [] });
        return Promise.resolve({ succeeded: true, revision: 3, current: [] });
      },
    },
    values: {
      encode: (_key, object) => Buffer.from(JSON.stringify(object)),
      decode: (_key, value) => JSON.parse(value.toString()),
    },
  });
  const created = await storage.create("/registry/b", { metadata: { name: "b" } });
  assert.deepEqual(created.object, { metadata: { name: "b", resourceVersion: "3" } });
});

for (
  const { name, revisions, compacted } of [
    { name: "the newest state", revisions: [3], compacted: 2 },
    { name: "the newest state at the compacted revision", revisions: [3], compacted: 3 },
    { name: "a state in the history", revisions: [3, 4], compacted: 2 },
  ]
) {
  test(`EtcdStorage returns what its mirror has of a write, and does not decode it again: ${name}`, async () => {
    const { storage, engine } = createStorage({
      client: {
        async write([{ key }]: readonly [GuardedWrite]) {
          for (const revision of revisions) {
            const current = createStored(key, { metadata: { name: `b${revision}` } }, revision);
            engine.apply([{ event: { key, revision, current }, at: 0 }], undefined);
          }
          if (compacted > 2) engine.apply([], { revision: compacted, count: 1, forgotten: [] });
          return { succeeded: true, revision: 3, current: [] };
        },
      },
      values: { decode: () => assert.fail("the mirror has it") },
    });
    const created = await storage.create("/registry/b", { metadata: { name: "b" } });
    assert.deepEqual(created.object, { metadata: { name: "b3", resourceVersion: "3" } });
  });
}

test("EtcdStorage returns what it wrote, even if the history begins with its revision", async () => {
  const { storage, engine } = createStorage({
    client: {
      async write([{ key }]: readonly [GuardedWrite]) {
        for (const revision of [3, 7]) {
          const current = createStored(key, { metadata: { name: "b", uid: "of another server" } }, revision);
          engine.apply([{ event: { key, revision, current }, at: 0 }], undefined);
        }
        engine.apply([], { revision: 3, count: 1, forgotten: [] });
        return { succeeded: true, revision: 3, current: [] };
      },
    },
    values: { encode: JSON_VALUES.encode, decode: JSON_VALUES.decode },
  });
  const created = await storage.create("/registry/b", { metadata: { name: "b" } });
  assert.deepEqual(created.object, { metadata: { name: "b", resourceVersion: "3" } });
});

test("EtcdStorage returns what etcd has written, even if its mirror does not catch up in time", async () => {
  const { storage, engine } = createStorage({
    values: {
      encode: (_key, object) => Buffer.from(JSON.stringify(object)),
      decode: (_key, value) => JSON.parse(value.toString()),
    },
  });
  const created = await storage.create("/registry/b", { metadata: { name: "b" } });
  assert.deepEqual(created.object, { metadata: { name: "b", resourceVersion: "3" } });
  assert.deepEqual(await storage.delete("/registry/a", 2), { previous: engine.get("/registry/a"), revision: 3 });
});

test("EtcdStorage finishes a running deletion before it closes", async () => {
  const asked = Promise.withResolvers<void>();
  const written: string[] = [];
  const { storage, engine, ended } = createStorage({
    client: {
      async range() {
        await asked.promise;
        engine.apply([{
          event: { key: "/registry/a", revision: 3, current: createStored("/registry/a", { metadata: {} }, 3) },
          at: 0,
        }], undefined);
        return { revision: 3, kvs: [], more: false, count: 0 };
      },
      async write([{ key }]: readonly [GuardedWrite]) {
        await settle();
        assert.deepEqual(ended, []);
        written.push(key);
        return { succeeded: true, revision: 4, current: [] };
      },
    },
  });
  const deleting = storage.delete("/registry/a", 3);
  const disposal = storage[Symbol.asyncDispose]();
  asked.resolve();
  assert.equal((await deleting).revision, 4);
  await disposal;
  assert.deepEqual(written, ["/registry/a"]);
  assert.deepEqual(ended, ["write", "compactor", "mirror", "client"]);
  await assert.rejects(storage.get("/registry/a"), { code: "aborted" });
  assert.throws(() => storage.getKnown("/registry/a"), { code: "aborted" });
});

test("EtcdStorage shares a request between reads, which wait for the mirror independently", async () => {
  let queries = 0;
  const reached: PromiseWithResolvers<void>[] = [];
  const { storage } = createStorage({
    client: {
      async range() {
        queries++;
        await settle(1);
        return { revision: 2, kvs: [], more: false, count: 0 };
      },
    },
    mirror: {
      reach() {
        reached.push(Promise.withResolvers<void>());
        return reached.at(-1)!.promise;
      },
    },
  });
  const first = assert.rejects(storage.get("/registry/a"), /lags/);
  await settle();
  const second = [storage.get("/registry/a"), storage.get("/registry/a")];
  await settle();
  assert.equal(queries, 2);
  assert.equal(reached.length, 3);
  reached[1]!.resolve();
  reached[2]!.resolve();
  for (const read of second) assert.equal((await read)?.revision, 2);
  reached[0]!.reject(new Error("the mirror lags"));
  await first;
});

test("EtcdStorage.catchUp() queries etcd only if the mirror may lack writes from before the given time", async () => {
  let queries = 0;
  let reach = Promise.resolve();
  const { storage, clock } = createStorage({
    client: {
      async range() {
        queries++;
        // The answer need not include changes during the request.
        clock.jump(100);
        return { revision: 2, kvs: [], more: false, count: 0 };
      },
    },
    mirror: { reach: () => reach },
  });
  await storage.list("/registry/", { revision: 2 });
  assert.equal(queries, 0, "a past state does not change");
  await storage.catchUp(500);
  assert.equal(queries, 1);
  clock.jump(399);
  await storage.catchUp(500);
  assert.equal(queries, 1);
  await storage.catchUp();
  assert.equal(queries, 2);
  clock.jump(399);
  await storage.catchUp(500);
  assert.equal(queries, 2);
  clock.jump(1);
  reach = Promise.reject(new Error("the mirror lags"));
  await assert.rejects(storage.catchUp(500), /lags/);
  reach = Promise.resolve();
  await storage.catchUp(500);
  assert.equal(queries, 4, "a failed wait proves nothing");
  await storage.list("/registry/");
  assert.equal(queries, 5);
});
