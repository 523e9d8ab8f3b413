import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { createFakeAfter } from "../../../tests/support/fake_after.ts";
import { settle } from "../../../tests/support/fake_clock.ts";
import { EtcdClient, type EtcdObserver } from "./client.ts";
import { GRPC_STATUS, GrpcError, type GrpcListener, type GrpcServer } from "./grpc.ts";

type Answer = Buffer | GrpcError | "none";

const UNCONNECTED = new GrpcError(GRPC_STATUS.unavailable, "refused", true);
const COMPACTED = new GrpcError(GRPC_STATUS.outOfRange, "etcdserver: mvcc: required revision has been compacted");
const ENDPOINTS = { servers: [], caPem: undefined, certificate: undefined, prefix: "/registry" };

/** The `TxnResponse` of a write that took place. */
const TAKEN = Buffer.from(new BinaryWriter().uint32(16).bool(true).finish());

/** Creates a member that gives every call the same answer, and every watch the compacted revision. */
function createMember(answer: Answer, compacted?: number) {
  const calls: string[] = [];
  const member: GrpcServer = {
    begin(path, _message, { onMessage, onEnd }, isOpen) {
      calls.push(path);
      const reply = (given: Answer) =>
        queueMicrotask(() => {
          if (given instanceof Buffer) onMessage(given);
          onEnd(given instanceof GrpcError ? given : undefined);
        });
      if (isOpen && compacted !== undefined) {
        queueMicrotask(() => onMessage(Buffer.alloc(0)));
        const response = new BinaryWriter().uint32(32).bool(true).uint32(40).int64(compacted).finish();
        queueMicrotask(() => onMessage(Buffer.from(response)));
      }
      if (!isOpen && answer !== "none") reply(answer);
      return {
        write: () => undefined,
        cancel: () => void (isOpen || reply(new GrpcError(GRPC_STATUS.cancelled, "no answer in time"))),
      };
    },
    close: () => undefined,
  };
  return { calls, member };
}

function createClient(...members: readonly ReturnType<typeof createMember>[]) {
  const timers = createFakeAfter();
  return {
    timers,
    client: new EtcdClient(ENDPOINTS, undefined, { members: members.map(({ member }) => member), after: timers.after }),
  };
}

const WRITE = { key: "/registry/a", guard: { modRevision: 0 }, value: new Uint8Array() };

test("EtcdClient.write() tries the next member if nothing was sent", async () => {
  const away = createMember(UNCONNECTED);
  const there = createMember(TAKEN);
  const { client } = createClient(away, there);
  assert.equal((await client.write([WRITE])).succeeded, true);
  assert.equal(away.calls.length, 1);
  assert.equal(there.calls.length, 1);
});

test("EtcdClient.write() fails if no member accepts a connection", async () => {
  const members = [createMember(UNCONNECTED), createMember(UNCONNECTED)] as const;
  const { client } = createClient(...members);
  await assert.rejects(client.write([WRITE]), { code: "unreachable", message: "cannot write etcd: refused" });
  assert.deepEqual(members.map(({ calls }) => calls.length), [1, 1]);
});

for (
  const { name, answer } of [
    { name: "no answer", answer: "none" },
    { name: "a connection that was lost", answer: new GrpcError(GRPC_STATUS.unavailable, "read ECONNRESET") },
    {
      name: "a timeout of etcd itself",
      answer: new GrpcError(GRPC_STATUS.unavailable, "etcdserver: request timed out"),
    },
  ] as const
) {
  test(`EtcdClient.write() sends nothing twice: ${name}`, async () => {
    const first = createMember(answer);
    const second = createMember(TAKEN);
    const { client, timers } = createClient(first, second);
    const failed = assert.rejects(client.write([WRITE]), { code: "unreachable" });
    await timers.advance(10_000);
    await failed;
    assert.deepEqual(second.calls, []);
    assert.equal((await client.write([WRITE])).succeeded, true);
    assert.equal(timers.pending, 0);
  });
}

test("EtcdClient.compactedRevision() tries the next member if one does not answer in time", async () => {
  const { client, timers } = createClient(createMember(COMPACTED), createMember(COMPACTED, 40));
  const asked = client.compactedRevision("/registry/");
  await timers.advance(2_999);
  assert.equal(await Promise.race([asked, settle()]), undefined);
  await timers.advance(101);
  assert.equal(await asked, 40);
  assert.equal(timers.pending, 0);
});

test("EtcdClient.compactedRevision() fails if no member answers in time", async () => {
  const { client, timers } = createClient(createMember(COMPACTED), createMember(COMPACTED));
  const failed = assert.rejects(client.compactedRevision("/registry/"), {
    code: "unreachable",
    message: "cannot follow etcd: no answer in time",
  });
  await timers.advance(6_200);
  await failed;
  assert.equal(timers.pending, 0);
});

test("EtcdClient.range() tries the next member after a pause, and later calls go there", async () => {
  const away = createMember(UNCONNECTED);
  const there = createMember(Buffer.alloc(0));
  const { client, timers } = createClient(away, there);
  const read = client.range({ key: "/registry/a" });
  await timers.advance(99);
  assert.deepEqual([away.calls.length, there.calls.length], [1, 0]);
  await timers.advance(1);
  await read;
  await client.range({ key: "/registry/a" });
  assert.deepEqual([away.calls.length, there.calls.length], [1, 2]);
});

for (
  const { name, answer, code, message } of [
    { name: "nothing", answer: undefined, code: "unreachable", message: /no answer/ },
    { name: "an error", answer: new GrpcError(GRPC_STATUS.invalidArgument, "odd"), code: "io", message: /odd/ },
  ]
) {
  test(`EtcdClient fails if etcd answers ${name}, and tries no other member`, async () => {
    const odd: GrpcServer = {
      begin(_path, _message, { onEnd }) {
        queueMicrotask(() => onEnd(answer));
        return { write: () => undefined, cancel: () => undefined };
      },
      close: () => undefined,
    };
    const second = createMember(Buffer.alloc(0), 40);
    const client = new EtcdClient(ENDPOINTS, undefined, { members: [odd, second.member] });
    await assert.rejects(client.write([WRITE]), { code, message });
    if (answer === undefined) return;
    await assert.rejects(client.compactedRevision("/registry/"), { code, message });
    await assert.rejects(client.range({ key: "/registry/a" }), { code, message });
    assert.deepEqual(second.calls, []);
  });
}

test("EtcdClient reports each call with its kind, its time and whether it failed", async () => {
  const called: string[] = [];
  let now = 0;
  const observer: EtcdObserver = {
    called: ({ operation, key, seconds, failed }) =>
      void called.push(`${operation} ${key.slice("/registry/".length)} ${seconds} ${failed ? "failed" : "done"}`),
    caughtUp: () => undefined,
    watchBroke: () => undefined,
  };
  const { member } = createMember(Buffer.alloc(0));
  const client = new EtcdClient(ENDPOINTS, { observer, nowMs: () => now += 500 }, { members: [member] });
  const { key } = WRITE;
  for (const more of [{}, { below: "/registry/" }, { countOnly: true }, { countOnly: true, revision: 1 }]) {
    await client.range({ key, ...more });
  }
  const [update, version] = [{ ...WRITE, guard: { modRevision: 2 } }, { ...WRITE, guard: { version: 0 } }];
  for (const write of [WRITE, update, version, { ...update, value: undefined }]) await client.write([write]);
  await client.write([WRITE, update]);
  const away = createMember(UNCONNECTED);
  const failing = new EtcdClient(ENDPOINTS, { observer, nowMs: () => now += 500 }, { members: [away.member] });
  await assert.rejects(failing.range({ key }));
  assert.deepEqual(called, [
    "get a 0.5 done",
    "list a 0.5 done",
    "getCurrentResourceVersion a 0.5 done",
    "get a 0.5 done",
    "create a 0.5 done",
    "update a 0.5 done",
    "create a 0.5 done",
    "delete a 0.5 done",
    "transact a 0.5 done",
    "get a 0.5 failed",
  ]);
});

test("EtcdClient.watch() ends once, and after an error the next watch goes to another member", () => {
  const log: string[] = [];
  const listeners: GrpcListener[] = [];
  const members = ["a", "b", "c"].map((name): GrpcServer => ({
    begin(_path, _message, listener) {
      log.push(`${name} begins`);
      listeners.push(listener);
      return { write: () => void log.push(`${name} is asked`), cancel: () => void log.push(`${name} cancelled`) };
    },
    close: () => void log.push(`${name} closed`),
  }));
  const client = new EtcdClient(ENDPOINTS, undefined, { members });
  const watch = () =>
    client.watch("/registry/", 5, () => void log.push("response"), (error) => {
      log.push(error instanceof Error ? error.message : "ended");
    });
  const take = () => log.splice(0);
  const first = watch();
  first.requestProgress();
  listeners[0]!.onMessage(Buffer.alloc(0));
  for (let count = 0; count < 2; count++) first.stop();
  first.requestProgress();
  listeners[0]!.onMessage(Buffer.alloc(0));
  listeners[0]!.onEnd(undefined);
  assert.deepEqual(take(), ["a begins", "a is asked", "response", "a cancelled", "ended"]);
  watch();
  listeners[1]!.onEnd(undefined);
  assert.deepEqual(take(), ["a begins", "a cancelled", "cannot follow etcd: etcd ended the watch"]);
  watch().stop(new Error("too slow"));
  assert.deepEqual(take(), ["b begins", "b cancelled", "cannot follow etcd: too slow"]);
  watch();
  client.close();
  assert.deepEqual(take(), ["c begins", "a closed", "b closed", "c closed"]);
});

test("EtcdClient.statuses() returns the statuses of the members that answer", async () => {
  const answer = Buffer.from(
    new BinaryWriter().uint32(18).string("3.5.13").uint32(66).string("memberID:1 alarm:NOSPACE ").finish(),
  );
  const { client } = createClient(createMember(UNCONNECTED), createMember(answer));
  assert.deepEqual(await client.statuses(), [{ version: "3.5.13", errors: ["memberID:1 alarm:NOSPACE "] }]);
});

test("EtcdClient puts its prefix before our keys only, not before those that kube-apiservers share", async () => {
  const asked: string[] = [];
  const kv = new BinaryWriter().uint32(10).string("/clusters/a/things/b").finish();
  const member: GrpcServer = {
    begin(_path, message, { onMessage, onEnd }) {
      asked.push(Buffer.from(message).toString());
      queueMicrotask(() => {
        onMessage(Buffer.from(new BinaryWriter().uint32(18).bytes(kv).finish()));
        onEnd(undefined);
      });
      return { write: () => undefined, cancel: () => undefined };
    },
    close: () => undefined,
  };
  const client = new EtcdClient({ ...ENDPOINTS, prefix: "/clusters/a" }, undefined, { members: [member] });
  const { kvs } = await client.range({ key: "/registry/things/b" });
  assert.deepEqual(kvs.map(({ key }) => key), ["/registry/things/b"]);
  await client.range({ key: "compact_rev_key" });
  // At revision 1, without values.
  assert.equal(await client.compactedRevision("/registry/"), 0);
  assert.deepEqual(asked, [
    "\n\x14/clusters/a/things/b",
    "\n\x0fcompact_rev_key",
    "\n\x0c/clusters/a/\x20\x01\x48\x01",
  ]);
});
