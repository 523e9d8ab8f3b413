import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { createFakeAfter } from "../../../tests/support/fake_after.ts";
import { settle } from "../../../tests/support/fake_clock.ts";
import { EtcdClient } from "./client.ts";
import { GRPC_STATUS, GrpcError, type GrpcServer } from "./grpc.ts";

type Answer = Buffer | GrpcError | "none";

const UNCONNECTED = new GrpcError(GRPC_STATUS.unavailable, "refused", true);
const COMPACTED = new GrpcError(GRPC_STATUS.outOfRange, "etcdserver: mvcc: required revision has been compacted");
const ENDPOINTS = { servers: [], caPem: undefined, certificate: undefined, prefix: "/registry" };

/** `TxnResponse` of a write that took place. */
const TAKEN = Buffer.from(new BinaryWriter().uint32(16).bool(true).finish());

/** Creates an etcd that answers every call alike, and watches with the compacted revision. */
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

test("EtcdClient.write() asks the next member where nothing was sent", async () => {
  const away = createMember(UNCONNECTED);
  const there = createMember(TAKEN);
  const { client } = createClient(away, there);
  assert.equal((await client.write([WRITE])).succeeded, true);
  assert.equal(away.calls.length, 1);
  assert.equal(there.calls.length, 1);
});

test("EtcdClient.write() ends where no member can be connected to", async () => {
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
      name: "etcd's own time that was up",
      answer: new GrpcError(GRPC_STATUS.unavailable, "etcdserver: request timed out"),
    },
  ] as const
) {
  test(`EtcdClient.write() is never sent twice: ${name}`, async () => {
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

test("EtcdClient.compactedRevision() asks the next member where one does not answer in time", async () => {
  const { client, timers } = createClient(createMember(COMPACTED), createMember(COMPACTED, 40));
  const asked = client.compactedRevision("/registry/");
  await timers.advance(2_999);
  assert.equal(await Promise.race([asked, settle()]), undefined);
  await timers.advance(101);
  assert.equal(await asked, 40);
  assert.equal(timers.pending, 0);
});

test("EtcdClient.compactedRevision() fails where no member answers in time", async () => {
  const { client, timers } = createClient(createMember(COMPACTED), createMember(COMPACTED));
  const failed = assert.rejects(client.compactedRevision("/registry/"), {
    code: "unreachable",
    message: "cannot follow etcd: no answer in time",
  });
  await timers.advance(6_200);
  await failed;
  assert.equal(timers.pending, 0);
});

test("EtcdClient.statuses() are those of the members that answer", async () => {
  const answer = Buffer.from(
    new BinaryWriter().uint32(18).string("3.5.13").uint32(66).string("memberID:1 alarm:NOSPACE ").finish(),
  );
  const { client } = createClient(createMember(UNCONNECTED), createMember(answer));
  assert.deepEqual(await client.statuses(), [{ version: "3.5.13", errors: ["memberID:1 alarm:NOSPACE "] }]);
});
