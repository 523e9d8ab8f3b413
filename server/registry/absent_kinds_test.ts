import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeEnvelope } from "../../core/kube/wire/protobuf_envelope.ts";
import { encodeMessage } from "../../core/kube/wire/protobuf.ts";
import { podKind } from "../../core/kube/kinds/mod.ts";
import { createTestApp, createUser, type TestApp, WatchReader } from "../../tests/support/test_app.ts";
import { ABSENT_RESOURCES } from "./absent_kinds.ts";
import { createStoredValues } from "./stored_values.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** The query that kubectl sends for the pods of a node. */
const OF_NODE = "fieldSelector=spec.nodeName%3Dn1%2Cstatus.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&limit=500";

async function withApp(run: (app: TestApp) => Promise<void>): Promise<void> {
  await using app = await createTestApp();
  await run(app);
}

for (
  const { path, kind } of [
    { path: "/api/v1/pods", kind: "PodList" },
    { path: `/api/v1/pods?${OF_NODE}`, kind: "PodList" },
    { path: `/api/v1/namespaces/default/pods?${OF_NODE}`, kind: "PodList" },
    { path: CRDS, kind: "CustomResourceDefinitionList" },
  ]
) {
  test(`an absent kind has an empty list: ${path}`, async () => {
    await withApp(async (app) => {
      const list = await app.send("GET", path);
      assert.deepEqual([list.code, list.at("kind"), list.at("items")], [200, kind, []]);
      assert.equal(list.at("metadata/resourceVersion"), String(app.storage.revision()));
      const table = await app.send("GET", path, {
        headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
      });
      assert.deepEqual([table.at("kind"), table.at("rows")], ["Table", []]);
      const wire = await app.send("GET", path, { headers: { accept: "application/vnd.kubernetes.protobuf" } });
      assert.equal(new TextDecoder().decode(wire.bytes.subarray(0, 3)), "k8s");
      assert.ok(new TextDecoder().decode(wire.bytes).includes(kind));
    });
  });
}

test("an absent kind is authorized like any other", async () => {
  await withApp(async (app) => {
    for (const path of ["/api/v1/pods", CRDS]) {
      assert.equal((await app.send("GET", path, { user: createUser("someone") })).code, 403, path);
    }
  });
});

test("an absent kind is in no discovery document and accepts no writes", async () => {
  await withApp(async (app) => {
    for (const path of ["/api/v1", "/apis", "/openapi/v2", "/openapi/v3/api/v1"]) {
      const { text } = await app.send("GET", path);
      assert.ok(!/"name":"pods"|customresourcedefinitions|\/pods"/.test(text), path);
    }
    const body = { apiVersion: "v1", kind: "Pod", metadata: { name: "a" } };
    assert.equal((await app.send("POST", "/api/v1/namespaces/default/pods", { body })).code, 405);
    assert.equal((await app.send("GET", "/api/v1/namespaces/default/pods/a")).code, 404);
  });
});

test("an absent kind has a silent watch, which reports at once that there are no objects", async () => {
  await withApp(async (app) => {
    const query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    await using watch = new WatchReader(await app.open("GET", `/api/v1/pods?${query}`));
    const first = await watch.next();
    assert.equal(first?.type, "BOOKMARK");
    assert.equal(first?.at("kind"), "Pod");
  });
});

test("an absent kind is not served while a kube-apiserver has such objects in the same store", async () => {
  await withApp(async (app) => {
    const key = "/registry/pods/default/a";
    const version = app.storage.revision();
    await using watch = new WatchReader(await app.open("GET", `/api/v1/pods?watch=1&resourceVersion=${version}`));
    const { revision } = await app.storage.create(key, { metadata: {} });
    const ended = await watch.next();
    assert.deepEqual([ended?.type, ended?.at("code")], ["ERROR", 410]);
    const list = await app.send("GET", "/api/v1/namespaces/kube-system/pods");
    assert.deepEqual([list.code, list.at("message")], [404, "the server could not find the requested resource"]);
    assert.equal((await app.send("GET", CRDS)).code, 200);
    await app.storage.delete(key, revision);
    assert.equal((await app.send("GET", "/api/v1/pods")).code, 200);
  });
});

test("createStoredValues() reads only the described fields of an object of an absent kind, and never writes one", () => {
  const values = createStoredValues([], ABSENT_RESOURCES);
  const key = "/registry/pods/default/a";
  const pod = { metadata: { name: "a", uid: "u" }, spec: { nodeName: "n1", serviceAccountName: "s" } };
  const stored = encodeEnvelope("v1", "Pod", encodeMessage(podKind.schema, pod));
  assert.deepEqual(values.decode(key, stored), pod);
  assert.deepEqual(values.decode(key, new TextEncoder().encode(JSON.stringify({ ...pod, status: {} }))), pod);
  assert.equal(values.decode("/registry/deployments/default/a", stored), undefined);
  assert.throws(() => values.encode(key, pod), /no resource is stored there/);
});

test("createStoredValues() only detects an object of an absent kind that cannot be read", () => {
  const values = createStoredValues([], ABSENT_RESOURCES);
  assert.deepEqual(values.decode("/registry/pods/default/a", new Uint8Array([1])), { metadata: {} });
});
