import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { encodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";
import type { ReadRequest } from "./client.ts";
import { createStoreContents } from "./contents.ts";

const protobuf = (apiVersion: string) => encodeEnvelope(apiVersion, "Any", new Uint8Array());

/** Creates an etcd with these keys that records its calls. */
function createEtcd(values: Readonly<Record<string, Uint8Array>>) {
  const keys = Object.keys(values).sort();
  const asked: ReadRequest[] = [];
  return {
    asked,
    async range(request: ReadRequest) {
      const { key, below = key, limit = Infinity } = request;
      asked.push(request);
      const found = keys.filter((name) => name >= key && name.startsWith(below));
      const kvs = found.slice(0, limit).map((name) => ({
        key: name,
        modRevision: 1,
        version: 1,
        value: values[name]!,
      }));
      return { revision: 9, kvs, more: found.length > limit, count: found.length };
    },
  };
}

test("collections() lists every collection once by its API group and resource, with one read for each", async () => {
  const pods = Object.fromEntries(
    Array.from({ length: 500 }, (_, index) => [`/registry/pods/web/p${index}`, protobuf("v1")]),
  );
  const etcd = createEtcd({
    ...pods,
    "/other/pods/web/a": protobuf("v1"),
    "/registry/apiextensions.k8s.io/customresourcedefinitions/a.example.com": protobuf("apiextensions.k8s.io/v1"),
    "/registry/controllers/web/c": protobuf("v1"),
    "/registry/deployments/web/d": protobuf("apps/v1"),
    "/registry/example.com/widgets/web/w": Buffer.from('{"apiVersion":"example.com/v1","kind":"Widget"}'),
    "/registry/example.org/things/web/t": Buffer.from("k8s:enc:aescbc:v1:key:..."),
    "/registry/health": Buffer.from("ok"),
    "/registry/ingress/web/i": protobuf("networking.k8s.io/v1"),
    "/registry/leases/web/json": Buffer.from('{"apiVersion":"coordination.k8s.io/v1","kind":"Lease"}'),
    "/registry/minions/n1": protobuf("v1"),
    "/registry/secrets/web/s": Buffer.from("k8s:enc:aescbc:v1:key:..."),
    "/registry/services/endpoints/web/s": protobuf("v1"),
    "/registry/services/specs/web/s": protobuf("v1"),
  });
  const found = await createStoreContents(etcd, "/registry/").collections();
  assert.deepEqual(found.map(({ prefix, resource, group }) => `${prefix} ${resource}.${group}`), [
    "/registry/apiextensions.k8s.io/customresourcedefinitions/ customresourcedefinitions.apiextensions.k8s.io",
    "/registry/controllers/ replicationcontrollers.",
    "/registry/deployments/ deployments.apps",
    "/registry/example.com/widgets/ widgets.example.com",
    "/registry/example.org/things/ things.example.org",
    "/registry/ingress/ ingresses.networking.k8s.io",
    "/registry/leases/ leases.coordination.k8s.io",
    "/registry/minions/ nodes.",
    "/registry/pods/ pods.",
    "/registry/secrets/ secrets.",
    "/registry/services/endpoints/ endpoints.",
    "/registry/services/specs/ services.",
  ]);
  assert.equal(etcd.asked.length, found.length + 2);
});

test("count() counts the keys that begin with a prefix, without reading them", async () => {
  const etcd = createEtcd({ "/registry/pods/web/a": protobuf("v1"), "/registry/pods/webber/a": protobuf("v1") });
  assert.equal(await createStoreContents(etcd, "/registry/").count("/registry/pods/web/"), 1);
  assert.deepEqual(etcd.asked.map(({ countOnly }) => countOnly), [true]);
});

test("findMention() finds a value that contains a text on any page, and a value that cannot be searched", async () => {
  const many = Object.fromEntries(
    Array.from(
      { length: 1_100 },
      (_, index) => [`/registry/pods/web/p${String(index).padStart(4, "0")}`, protobuf("v1")],
    ),
  );
  const uid = "2f1f7ea2-6f0f-4b39-9d0c-5c1e7e4d5f10";
  const owned = Buffer.concat([protobuf("v1"), Buffer.from(`\n$${uid}`)]);
  const find = (values: Readonly<Record<string, Uint8Array>>) =>
    createStoreContents(createEtcd(values), "/registry/").findMention("/registry/pods/", uid);
  assert.equal(await find(many), undefined);
  assert.equal(await find({ ...many, "/registry/pods/web/p1050": owned }), "/registry/pods/web/p1050");
  assert.equal(await find({ ...many, "/registry/secrets/web/a": owned }), undefined);
  const encrypted = Buffer.from("k8s:enc:aescbc:v1:key:...");
  assert.equal(await find({ ...many, "/registry/pods/web/z": encrypted }), "/registry/pods/web/z");
});
