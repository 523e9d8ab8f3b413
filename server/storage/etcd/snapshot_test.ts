import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { decodeEnvelope, encodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";
import { PLAIN_RESOURCES } from "../../registry/resources.ts";
import { createStoredValues } from "../../registry/stored_values.ts";
import type { ReadRequest } from "./client.ts";
import { decodeSnapshot, readBelow } from "./snapshot.ts";

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
