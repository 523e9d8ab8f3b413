import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";

const NAMESPACES = "/api/v1/namespaces";
const MERGE = { "content-type": "application/merge-patch+json" };
let app: TestApp;

describe("namespaces", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  async function create(name: string, finalizers: readonly string[] = []): Promise<void> {
    const body = { metadata: { name, ...(finalizers.length === 0 ? {} : { finalizers }) } };
    assert.equal((await app.send("POST", NAMESPACES, { body })).code, 201);
  }

  function finalize(name: string, finalizers: readonly string[], metadata: object = {}) {
    const body = { metadata: { name, ...metadata }, spec: { finalizers } };
    return app.send("PUT", `${NAMESPACES}/${name}/finalize`, { body });
  }

  test("namespaces: a deletion marks them, and the last finalizer removes them", async () => {
    await create("going");
    const deleted = await app.send("DELETE", `${NAMESPACES}/going`);
    assert.deepEqual([deleted.code, deleted.at("kind"), deleted.at("status/phase")], [200, "Namespace", "Terminating"]);
    assert.equal(typeof deleted.at("metadata/deletionTimestamp"), "string");
    assert.equal(deleted.at("metadata/deletionGracePeriodSeconds"), undefined);
    assert.equal((await app.send("GET", `${NAMESPACES}/going`)).code, 200);
    const again = await app.send("DELETE", `${NAMESPACES}/going`);
    assert.equal(again.at("metadata/resourceVersion"), deleted.at("metadata/resourceVersion"));
    assert.equal((await finalize("going", [])).code, 200);
    assert.equal((await app.send("GET", `${NAMESPACES}/going`)).code, 404);
  });

  test("namespaces: finalizers in the metadata keep a namespace without finalizers in its spec", async () => {
    await create("held", ["example.com/hold"]);
    await app.send("DELETE", `${NAMESPACES}/held`);
    await finalize("held", [], { finalizers: ["example.com/hold"] });
    assert.equal((await app.send("GET", `${NAMESPACES}/held`)).code, 200);
    const body = { metadata: { finalizers: null } };
    assert.equal((await app.send("PATCH", `${NAMESPACES}/held`, { headers: MERGE, body })).code, 200);
    assert.equal((await app.send("GET", `${NAMESPACES}/held`)).code, 404);
  });

  test("namespaces: the second deletion removes one without finalizers, and returns it", async () => {
    await create("empty");
    await finalize("empty", []);
    assert.equal((await app.send("DELETE", `${NAMESPACES}/empty`)).at("status/phase"), "Terminating");
    const gone = await app.send("DELETE", `${NAMESPACES}/empty`);
    assert.deepEqual([gone.code, gone.at("kind")], [200, "Namespace"]);
    assert.equal((await app.send("GET", `${NAMESPACES}/empty`)).code, 404);
  });

  test("namespaces: a namespace that is being deleted accepts no new objects", async () => {
    await create("full");
    await app.send("DELETE", `${NAMESPACES}/full`);
    const refused = await app.send("POST", `${NAMESPACES}/full/configmaps`, {
      body: { metadata: { generateName: "a-" } },
    });
    assert.equal(refused.code, 403);
    assert.equal(
      refused.at("message"),
      'configmaps "a-" is forbidden: unable to create new content in namespace full because it is being terminated',
    );
    assert.equal(refused.at("details/causes/0/reason"), "NamespaceTerminating");
  });

  test("namespaces: old clients that request a cascade get 202, which makes them wait", async () => {
    await create("cascade");
    const deleted = await app.send("DELETE", `${NAMESPACES}/cascade?orphanDependents=false`);
    assert.equal(deleted.code, 202);
    assert.deepEqual(deleted.at("metadata/finalizers"), ["foregroundDeletion"]);
  });

  for (
    const { name, preconditions, message } of [
      {
        name: "uid",
        preconditions: { uid: "other" },
        message:
          /^Operation cannot be fulfilled on namespaces "default": Precondition failed: UID in precondition: other, /,
      },
      {
        name: "version",
        preconditions: { resourceVersion: "0" },
        message: /: Precondition failed: ResourceVersion in precondition: 0, ResourceVersion in object meta: \d+$/,
      },
    ]
  ) {
    test(`namespaces: a deletion with a different ${name} is a conflict before it is forbidden`, async () => {
      const deleted = await app.send("DELETE", `${NAMESPACES}/default`, { body: { preconditions } });
      assert.equal(deleted.code, 409);
      assert.match(String(deleted.at("message")), message);
    });
  }

  test("namespaces: three can never be deleted, and the collection cannot be deleted", async () => {
    for (const name of ["default", "kube-public", "kube-system"]) {
      const refused = await app.send("DELETE", `${NAMESPACES}/${name}`);
      assert.equal(refused.at("message"), `namespaces "${name}" is forbidden: this namespace may not be deleted`);
    }
    assert.equal((await app.send("DELETE", NAMESPACES)).code, 405);
  });
});
