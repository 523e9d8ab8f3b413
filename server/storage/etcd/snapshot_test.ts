import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createSystemClock } from "../../../cli/system.ts";
import { decodeEnvelope, encodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";
import { encodeModelRange, encodeModelStatus } from "../../../tests/simulation/etcd_messages.ts";
import { createIssuingCa, issueServing } from "../../../tests/support/issuing_ca.ts";
import { JSON_VALUES } from "../../../tests/support/stored_things.ts";
import { PLAIN_RESOURCES } from "../../registry/resources.ts";
import { createStoredValues } from "../../registry/stored_values.ts";
import type { ReadRequest } from "./client.ts";
import { formatRestoreMarker, RESTORE_MARKER_KEY } from "./restore_marker.ts";
import { decodeSnapshot, readBelow, readEtcdSnapshot } from "./snapshot.ts";

const kv = (key: string) => ({ key, modRevision: 1, version: 1, value: Buffer.from("x") });

test("readBelow() reads every page at the revision of the first one", async () => {
  const asked: unknown[] = [];
  const pages = [{ revision: 7, kvs: [kv("/registry/a")], more: true, count: 2 }, {
    revision: 9,
    kvs: [kv("/registry/b")],
    more: false,
    count: 1,
  }];
  const client = {
    async range(request: object) {
      asked.push(request);
      return pages[asked.length - 1]!;
    },
  };
  const { revision, kvs } = await readBelow(client, "/registry/");
  assert.equal(revision, 7);
  assert.deepEqual(kvs.map(({ key }) => key), ["/registry/a", "/registry/b"]);
  assert.deepEqual(asked, [
    { key: "/registry/", below: "/registry/", limit: 1_000, revision: undefined },
    { key: "/registry/a\u0000", below: "/registry/", limit: 1_000, revision: 7 },
  ]);
});

test("readBelow() starts over a few times when etcd has compacted the revision meanwhile", async () => {
  let calls = 0;
  const compacted = new Error("etcdserver: mvcc: required revision has been compacted");
  const once = {
    async range({ revision }: ReadRequest) {
      calls++;
      if (revision === 7) throw compacted;
      return { revision: calls === 1 ? 7 : 20, kvs: [kv("/registry/a")], more: calls < 4, count: 4 };
    },
  };
  assert.equal((await readBelow(once, "/registry/")).revision, 20);
  const always = {
    async range({ revision }: ReadRequest) {
      if (revision !== undefined) throw compacted;
      return { revision: 7, kvs: [kv("/registry/a")], more: true, count: 0 };
    },
  };
  await assert.rejects(readBelow(always, "/registry/"), compacted);
});

test("decodeSnapshot() lists unserved objects, and objects with more fields from a newer Kubernetes", () => {
  const values = createStoredValues(PLAIN_RESOURCES);
  const put = (key: string, value: Uint8Array) => ({ key, modRevision: 1, version: 1, value });
  const [known, newer] = ["/registry/configmaps/default/known", "/registry/configmaps/default/newer"];
  const value = values.encode(known, { metadata: { name: "known", namespace: "default" } });
  const { apiVersion, kind, raw } = decodeEnvelope(value);
  // Field 999 of the object, with one byte.
  const more = encodeEnvelope(apiVersion, kind, Buffer.concat([raw, Buffer.from([0xba, 0x3e, 1, 0x78])]));
  const kvs = [put(known, value), put(newer, more), put("/registry/pods/default/a", value)];
  const { items, omitted, pruned } = decodeSnapshot(kvs, values);
  assert.deepEqual(items.map(({ key }) => key), [known, newer]);
  assert.deepEqual([omitted, pruned], [["/registry/pods/default/a"], [newer]]);
});

/** Reads the snapshot of an etcd with TLS that has these keys, and waits until its connection is closed. */
async function readServedSnapshot(values: Readonly<Record<string, string>>, version = "3.6.5") {
  const ca = await createIssuingCa(createSystemClock().now());
  const { certificatePem: cert, keyPem: key } = await issueServing(ca);
  const server = createSecureServer({ key, cert });
  const closed = Promise.withResolvers<void>();
  server.on("session", (session) => session.once("close", closed.resolve));
  server.on("stream", (stream, headers) => {
    const kvs = Object.entries(values).map(([name, value]) => ({
      ...{ key: name, createRevision: 2, modRevision: 3, version: 1, value: Buffer.from(value), lease: 0n },
    }));
    const answer = headers[":path"] === "/etcdserverpb.Maintenance/Status"
      ? encodeModelStatus(9, version)
      : encodeModelRange(9, { kvs, more: false, count: kvs.length });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(answer.length, 1);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.concat([head, answer]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const servers = [`https://127.0.0.1:${(server.address() as AddressInfo).port}`];
  const endpoints = { servers, caPem: ca.caPem, certificate: undefined, prefix: "/registry" };
  try {
    return await readEtcdSnapshot({ endpoints, values: JSON_VALUES });
  } finally {
    await closed.promise;
    await new Promise((resolve) => server.close(resolve));
  }
}

test("readEtcdSnapshot() reads the objects below the prefix, and closes its connection", async () => {
  const { revision, items, omitted } = await readServedSnapshot({ "/registry/things/a": '{"metadata":{"name":"a"}}' });
  assert.deepEqual(items.map(({ key, revision }) => [key, revision]), [["/registry/things/a", 3]]);
  assert.deepEqual([revision, omitted], [9, []]);
});

const MARKER = formatRestoreMarker({ backup: "one", createdAt: "2026-01-01", phase: "writing", aside: [] });
for (
  const { name, values, version, error } of [
    {
      name: "without objects",
      values: {},
      error: { code: "not_found", message: 'cannot back up: etcd has no objects below "/registry"' },
    },
    {
      name: "with an unfinished restore",
      values: { "/registry/things/a": '{"metadata":{"name":"a"}}', [RESTORE_MARKER_KEY]: MARKER },
      error: { code: "storage_corrupt", message: /a restore of the backup of 2026-01-01 is not finished$/ },
    },
    {
      name: "of an old release",
      values: {},
      version: "3.5.12",
      error: { code: "io", message: /^cannot use etcd 3\.5\.12/ },
    },
  ]
) {
  test(`readEtcdSnapshot() refuses an etcd ${name}, and closes its connection`, async () => {
    await assert.rejects(readServedSnapshot(values, version), error);
  });
}
