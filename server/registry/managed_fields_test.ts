import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { ManagedFieldsEntry } from "../../core/kube/meta.ts";
import { createTestApp, createUser, type TestApp } from "../../tests/support/test_app.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const APPLY = { "content-type": "application/apply-patch+yaml" };
const MERGE = { "content-type": "application/merge-patch+json" };
let app: TestApp;

describe("managed fields", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  function configMap(name: string, data: object): object {
    return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data };
  }

  function owners(answer: { at(path: string): unknown }): readonly string[] {
    const entries = (answer.at("metadata/managedFields") ?? []) as readonly ManagedFieldsEntry[];
    return entries.map(({ manager, operation, fieldsV1 }) => `${manager} ${operation} ${JSON.stringify(fieldsV1)}`);
  }

  test("a create is owned by its fieldManager, else by its user agent", async () => {
    const named = await app.send("POST", `${MAPS}?fieldManager=me`, { body: configMap("named", { a: "b" }) });
    assert.deepEqual(owners(named), ['me Update {"f:data":{".":{},"f:a":{}}}']);
    const headers = { "user-agent": "kub\u0007ectl/v1.37 (linux)" };
    const byAgent = await app.send("POST", MAPS, { body: configMap("by-agent", { a: "b" }), headers });
    assert.deepEqual(owners(byAgent), ['kubectl Update {"f:data":{".":{},"f:a":{}}}']);
  });

  test("apply creates a missing object for users who may create as well as patch", async () => {
    const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    const rules = [{ apiGroups: [""], resources: ["configmaps"], verbs: ["patch"] }];
    await app.send("POST", `${rbac}/roles`, { body: { metadata: { name: "patcher" }, rules } });
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "patcher" };
    const subjects = [{ kind: "User", name: "patcher" }];
    await app.send("POST", `${rbac}/rolebindings`, { body: { metadata: { name: "patcher" }, roleRef, subjects } });
    const path = `${MAPS}/applied?fieldManager=me`;
    const sent = { body: configMap("applied", { a: "b" }), headers: APPLY };
    const refused = await app.send("PATCH", path, { ...sent, user: createUser("patcher") });
    assert.equal(refused.code, 403);
    assert.match(String(refused.at("message")), /cannot create resource "configmaps"/);
    const created = await app.send("PATCH", path, sent);
    assert.equal(created.code, 201);
    assert.deepEqual(owners(created), ['me Apply {"f:data":{"f:a":{}}}']);
    assert.equal((await app.send("PATCH", path, { ...sent, user: createUser("patcher") })).code, 200);
  });

  test("an apply without a change keeps the resourceVersion, although time passes", async () => {
    const path = `${MAPS}/kept?fieldManager=me`;
    const first = await app.send("PATCH", path, { body: configMap("kept", { a: "b" }), headers: APPLY });
    app.clock.advance(60_000);
    const second = await app.send("PATCH", path, { body: configMap("kept", { a: "b" }), headers: APPLY });
    assert.deepEqual(second.at("metadata"), first.at("metadata"));
    const written = await app.send("PATCH", path, { body: { data: { a: "c" } }, headers: MERGE });
    assert.notEqual(written.at("metadata/resourceVersion"), first.at("metadata/resourceVersion"));
  });

  test("an object of an older database, without managers, can be updated and applied like any other", async () => {
    const key = "/registry/configmaps/default/old";
    await app.storage.create(
      key,
      { metadata: { name: "old", namespace: "default", uid: "u" }, data: { a: "b" } } as never,
    );
    const updated = await app.send("PATCH", `${MAPS}/old`, { body: { data: { c: "d" } }, headers: MERGE });
    assert.equal(updated.code, 200);
    assert.deepEqual(owners(updated), []);
    const applied = await app.send("PATCH", `${MAPS}/old?fieldManager=me`, {
      body: configMap("old", { e: "f" }),
      headers: APPLY,
    });
    assert.deepEqual(owners(applied), [
      'me Apply {"f:data":{"f:e":{}}}',
      'before-first-apply Update {"f:data":{".":{},"f:a":{},"f:c":{}}}',
    ]);
  });

  test("one version of an event does not show the managers of the other", async () => {
    const newer = "/apis/events.k8s.io/v1/namespaces/default/events";
    const made = await app.send("POST", `${newer}?fieldManager=a`, {
      body: {
        metadata: { name: "e", namespace: "default" },
        regarding: { namespace: "default" },
        eventTime: "2026-01-01T00:00:00.000000Z",
        reportingController: "example.com/c",
        reportingInstance: "i",
        action: "A",
        reason: "R",
        type: "Normal",
      },
    });
    assert.equal(made.code, 201);
    const path = "/api/v1/namespaces/default/events/e?fieldManager=b";
    const changed = await app.send("PATCH", path, { body: { metadata: { labels: { c: "1" } } }, headers: MERGE });
    assert.deepEqual(
      (changed.at("metadata/managedFields") as readonly ManagedFieldsEntry[]).map((entry) => entry.manager),
      ["b"],
    );
  });

  // Sizes and texts are those of a real kube-apiserver 1.37.2 on etcd 3.7.3: the largest Lease of this name, to the
  // byte.
  test("an object that is too large for the store loses its managed fields, and only then is refused", async () => {
    const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    const lease = (holder: number) => ({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "b" },
      spec: { holderIdentity: "x".repeat(holder) },
    });
    const largest = 1_572_650;
    const tooLarge = await app.send("POST", leases, { body: lease(largest + 1) });
    assert.equal(
      tooLarge.text.trimEnd(),
      '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",' +
        '"message":"etcdserver: request is too large","code":500}',
    );
    const unsent = await app.send("POST", leases, { body: lease(2_500_000) });
    assert.equal(
      unsent.at("message"),
      "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2500203 vs. 2097152)",
    );
    assert.equal((await app.send("POST", `${leases}?dryRun=All`, { body: lease(2_500_000) })).code, 201);
    const created = await app.send("POST", leases, { body: lease(largest) });
    assert.equal(created.code, 201, created.text.slice(0, 300));
    assert.deepEqual(owners(created), []);

    const patch = { metadata: { labels: { a: "b" } } };
    const patched = await app.send("PATCH", `${leases}/b`, { body: patch, headers: MERGE });
    assert.equal(patched.at("message"), "etcdserver: request is too large");
    const applied = await app.send("PATCH", `${leases}/b?fieldManager=m&force=true`, {
      body: lease(largest),
      headers: APPLY,
    });
    assert.equal(applied.at("message"), "etcdserver: request is too large", "apply keeps its managed fields");
    const version = created.at("metadata/resourceVersion");
    const smaller = { ...lease(largest - 100), metadata: { name: "b", resourceVersion: version } };
    assert.deepEqual(owners(await app.send("PUT", `${leases}/b`, { body: smaller })), []);
    assert.equal((await app.send("DELETE", `${leases}/b`)).code, 200);
  });
});
