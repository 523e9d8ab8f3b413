import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const MERGE = { "content-type": "application/merge-patch+json" };
const JSON_PATCH = { "content-type": "application/json-patch+json" };
const STRATEGIC = { "content-type": "application/strategic-merge-patch+json" };
let app: TestApp;
let serial = 0;

describe("an update", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  /** Creates a CSR. Returns what was sent, and the resourceVersion of the created object. */
  async function createCsr(
    metadata: object = {},
  ): Promise<{ name: string; path: string; version: string; csr: object }> {
    const name = `update-${++serial}`;
    const csr = await buildCsr({ name, metadata: { name, ...metadata }, signerName: "example.com/x" });
    const created = await app.send("POST", CSRS, { body: csr });
    assert.equal(created.code, 201);
    return { name, path: `${CSRS}/${name}`, version: String(created.at("metadata/resourceVersion")), csr };
  }

  function withMetadata(csr: object, metadata: object): object {
    return { ...csr, metadata: { ...Reflect.get(csr, "metadata"), ...metadata } };
  }

  test("update changes metadata only, and keeps spec, status and the server's own fields", async () => {
    const { path, csr, version } = await createCsr();
    const body = {
      ...withMetadata(csr, {
        labels: { a: "b" },
        creationTimestamp: "2020-01-01T00:00:00Z",
        generation: 7,
        namespace: "x",
      }),
      spec: { request: "", signerName: "other.io/x", usages: ["any"] },
      status: { conditions: [{ type: "Approved", status: "True" }] },
    };
    const updated = await app.send("PUT", path, { body });
    assert.equal(updated.code, 200);
    assert.deepEqual(updated.at("metadata/labels"), { a: "b" });
    assert.equal(updated.at("metadata/creationTimestamp"), "2026-01-01T00:00:00Z");
    assert.equal(updated.at("metadata/generation"), undefined);
    assert.equal(updated.at("spec/signerName"), "example.com/x");
    assert.deepEqual(updated.at("status"), {});
    assert.notEqual(updated.at("metadata/resourceVersion"), version);
  });

  // `registry/generic/registry/dryrun.go`: the key of a dry run has no prefix.
  test("update reports the key of an object with a different uid, in a dry run without the prefix of the store", async () => {
    const { path, csr } = await createCsr();
    const body = withMetadata(csr, { uid: "x" });
    const put = await app.send("PUT", path, { body });
    assert.match(String(put.at("message")), /Key: \/registry\/certificatesigningrequests\/update-/);
    const dryRun = await app.send("PUT", `${path}?dryRun=All`, { body });
    assert.equal(dryRun.code, 409);
    assert.match(String(dryRun.at("message")), /Key: \/certificatesigningrequests\/update-/);
  });

  // `dryrun.go` returns before the store clears the link (`storage.PrepareObjectForStorage`).
  test("update returns a selfLink in a dry run only", async () => {
    const { path, csr } = await createCsr();
    const body = withMetadata(csr, { selfLink: "/a" });
    assert.equal((await app.send("PUT", `${path}?dryRun=All`, { body })).at("metadata/selfLink"), "/a");
    assert.equal((await app.send("PUT", path, { body })).at("metadata/selfLink"), undefined);
  });

  test("update without a change keeps the resourceVersion and makes no event", async () => {
    const { path, csr, version } = await createCsr({ annotations: { a: "b" } });
    const before = app.storage.revision();
    assert.equal((await app.send("PUT", path, { body: csr })).at("metadata/resourceVersion"), version);
    const patched = await app.send("PATCH", path, { body: { metadata: { annotations: { a: "b" } } }, headers: MERGE });
    assert.equal(patched.at("metadata/resourceVersion"), version);
    assert.equal(app.storage.revision(), before);
  });

  // The answers are those of a real kube-apiserver 1.37.2.
  for (
    const { name, metadata, code, message } of [
      {
        name: "a stale resourceVersion",
        metadata: { resourceVersion: "1" },
        code: 409,
        message:
          /^Operation cannot be fulfilled on certificatesigningrequests\.certificates\.k8s\.io "update-\d+": the object has been modified; please apply your changes to the latest version and try again$/,
      },
      {
        name: "a malformed resourceVersion",
        metadata: { resourceVersion: "x" },
        code: 500,
        message: /^strconv\.ParseUint: parsing "x": invalid syntax$/,
      },
      {
        name: "another uid",
        metadata: { uid: "x" },
        code: 409,
        message: /AdditionalErrorMsg: Precondition failed: UID in precondition: x, UID in object meta: [0-9a-f-]{36}$/,
      },
      {
        name: "another name",
        metadata: { name: "other" },
        code: 400,
        message: /^the name of the object \(other\) does not match the name on the URL \(update-\d+\)$/,
      },
      {
        name: "no name",
        metadata: { name: undefined },
        code: 400,
        message: /^the name of the object \(update-\d+ based on URL\) was undeterminable: name must be provided$/,
      },
      {
        name: "a bad label",
        metadata: { labels: { "a b": "c" } },
        code: 422,
        message: /is invalid: metadata\.labels: Invalid value: "a b": name part must consist of/,
      },
      {
        name: "a deletion by hand",
        metadata: { deletionTimestamp: "2020-01-01T00:00:00Z" },
        code: 422,
        message: /is invalid: metadata\.deletionTimestamp: Invalid value: "2020-01-01T00:00:00Z": field is immutable$/,
      },
    ]
  ) {
    test(`update answers ${code} to ${name}, and changes nothing`, async () => {
      const { path, csr, version } = await createCsr();
      const answer = await app.send("PUT", path, { body: withMetadata(csr, metadata) });
      assert.equal(answer.code, code);
      assert.match(String(answer.at("message")), message);
      assert.equal((await app.send("GET", path)).at("metadata/resourceVersion"), version);
    });
  }

  test("update of a missing CSR is 404, of a missing role creates it", async () => {
    const csr = await buildCsr({ name: "missing" });
    assert.equal((await app.send("PUT", `${CSRS}/missing`, { body: csr })).code, 404);
    const roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    const role = { metadata: { name: "made" }, rules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }] };
    assert.equal((await app.send("PUT", `${roles}/made`, { body: role })).code, 201);
    assert.equal((await app.send("PUT", `${roles}/made`, { body: role })).code, 200);
  });

  test("update of a lease requires a resourceVersion", async () => {
    const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    const lease = { metadata: { name: "l" }, spec: { holderIdentity: "me" } };
    assert.equal((await app.send("PUT", `${leases}/l`, { body: lease })).code, 201);
    const refused = await app.send("PUT", `${leases}/l`, { body: lease });
    assert.equal(refused.code, 422);
    assert.equal(
      refused.at("message"),
      'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    );
  });

  // apiserver `pkg/endpoints/handlers/patch.go`; the answers of a real kube-apiserver 1.37.2.
  for (
    const { name, headers, body, query = "", code, message } of [
      {
        name: "an unknown type",
        headers: { "content-type": "text/plain" },
        body: "{}",
        code: 415,
        message: /^415: Unsupported Media Type$/,
      },
      { name: "broken JSON", headers: MERGE, body: "{", code: 400, message: /^invalid JSON patch$/ },
      {
        name: "a merge patch that is a list",
        headers: MERGE,
        body: "[]",
        code: 400,
        message:
          /^error decoding patch: json: cannot unmarshal array into Go value of type map\[string\]interface \{\}$/,
      },
      { name: "a merge patch of null", headers: MERGE, body: "null", code: 400, message: /^Invalid JSON Patch$/ },
      {
        name: "a strategic patch that is a list",
        headers: STRATEGIC,
        body: "[]",
        code: 400,
        message: /^json: cannot unmarshal array into Go value/,
      },
      {
        name: "a JSON patch that is an object",
        headers: JSON_PATCH,
        body: "{}",
        code: 400,
        message:
          /^error decoding patch: json: cannot unmarshal object into Go value of type \[\]handlers\.jsonPatchOp$/,
      },
      {
        name: "a test that fails",
        headers: JSON_PATCH,
        body: '[{"op":"test","path":"/metadata/name","value":"x"}]',
        code: 422,
        message: /^the server rejected our request due to an error in our request$/,
      },
      {
        name: "10,001 operations",
        headers: JSON_PATCH,
        body: JSON.stringify(Array(10_001).fill({ op: "test", path: "/kind", value: "x" })),
        code: 413,
        message: /^Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001$/,
      },
      {
        name: "an unknown field of an operation",
        headers: JSON_PATCH,
        body: '[{"op":"add","path":"/metadata/labels","value":{"x":"y"},"foo":1}]',
        query: "?fieldValidation=Strict",
        code: 422,
        message: /strict decoding error: json patch unknown field "\[0\]\.foo"$/,
      },
      {
        name: "a wrong type",
        headers: MERGE,
        body: '{"spec":{"usages":5}}',
        code: 422,
        message:
          /^ "" is invalid: patch: Invalid value: "\{\\"apiVersion\\":.*"usages\\":5,.*": json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec\.spec\.usages of type \[\]v1\.KeyUsage$/,
      },
      {
        name: "an unknown field",
        headers: MERGE,
        body: '{"spec":{"foo":5}}',
        query: "?fieldValidation=Strict",
        code: 422,
        message: /strict decoding error: unknown field "spec\.foo"$/,
      },
      {
        name: "another kind",
        headers: MERGE,
        body: '{"kind":"Foo"}',
        code: 422,
        message:
          /no kind "Foo" is registered for version "certificates\.k8s\.io\/v1" in scheme "pkg\/runtime\/scheme\.go:111"$/,
      },
      {
        name: "another name",
        headers: MERGE,
        body: '{"metadata":{"name":"x"}}',
        code: 400,
        message: /^the name of the object \(x\) does not match the name on the URL/,
      },
      {
        name: "another uid",
        headers: MERGE,
        body: '{"metadata":{"uid":"x"}}',
        code: 422,
        message: /is invalid: metadata\.uid: Invalid value: "x": field is immutable$/,
      },
      {
        name: "a stale resourceVersion",
        headers: MERGE,
        body: '{"metadata":{"resourceVersion":"1","labels":{"a":"b"}}}',
        code: 409,
        message: /the object has been modified/,
      },
      {
        name: "force without apply",
        headers: MERGE,
        body: "{}",
        query: "?force=true",
        code: 422,
        message: /force: Forbidden: may not be specified for non-apply patch$/,
      },
      {
        name: "an unknown dryRun",
        headers: MERGE,
        body: "{}",
        query: "?dryRun=x",
        code: 422,
        message: /^PatchOptions\.meta\.k8s\.io "" is invalid: dryRun: Unsupported value: /,
      },
    ]
  ) {
    test(`patch answers ${code} to ${name}, and changes nothing`, async () => {
      const { path, version } = await createCsr();
      const answer = await app.send("PATCH", `${path}${query}`, { body, headers });
      assert.equal(answer.code, code);
      assert.match(String(answer.at("message")), message);
      assert.equal((await app.send("GET", path)).at("metadata/resourceVersion"), version);
    });
  }

  test("patch of a missing object is 404, but its syntax is checked first", async () => {
    assert.equal((await app.send("PATCH", `${CSRS}/missing`, { body: "{}", headers: MERGE })).code, 404);
    assert.equal((await app.send("PATCH", `${CSRS}/missing`, { body: "{", headers: MERGE })).code, 400);
  });

  test("a patch of each type changes only its fields", async () => {
    const { path } = await createCsr({ labels: { old: "1" } });
    const send = (headers: Record<string, string>, body: unknown) =>
      app.send("PATCH", path, { body: JSON.stringify(body), headers });
    await send(MERGE, { metadata: { labels: { old: null, merged: "1" } } });
    await send(JSON_PATCH, [{ op: "add", path: "/metadata/labels/json", value: "1" }]);
    const last = await send(STRATEGIC, { metadata: { labels: { strategic: "1" } } });
    assert.deepEqual(last.at("metadata/labels"), { merged: "1", json: "1", strategic: "1" });
  });

  test("a strategic patch of conditions merges them by type", async () => {
    const { path } = await createCsr();
    const send = (conditions: unknown) =>
      app.send("PATCH", `${path}/approval`, { body: JSON.stringify({ status: { conditions } }), headers: STRATEGIC });
    await send([{ type: "X", status: "True" }]);
    const two = await send([{ type: "Y", status: "True" }, { type: "X", status: "False" }]);
    assert.deepEqual(
      (two.at("status/conditions") as { type: string; status: string }[]).map(({ type, status }) => `${type} ${status}`)
        .sort(),
      ["X False", "Y True"],
    );
  });

  test("dryRun=All of update and patch shows the object and stores nothing", async () => {
    const { path, csr, version } = await createCsr();
    const put = await app.send("PUT", `${path}?dryRun=All`, { body: withMetadata(csr, { labels: { a: "b" } }) });
    assert.deepEqual(put.at("metadata/labels"), { a: "b" });
    const patched = await app.send("PATCH", `${path}?dryRun=All`, {
      body: { metadata: { labels: { c: "d" } } },
      headers: MERGE,
    });
    assert.deepEqual(patched.at("metadata/labels"), { c: "d" });
    assert.equal((await app.send("GET", path)).at("metadata/resourceVersion"), version);
  });

  test("parallel patches without a resourceVersion all succeed", async () => {
    const { path } = await createCsr();
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
    const answers = await Promise.all(
      keys.map((key) => app.send("PATCH", path, { body: { metadata: { labels: { [key]: "1" } } }, headers: MERGE })),
    );
    assert.deepEqual(new Set(answers.map(({ code }) => code)), new Set([200]));
    const labels = (await app.send("GET", path)).at("metadata/labels") as object;
    assert.deepEqual(Object.keys(labels).sort(), [...keys].sort());
  });

  /** Creates a server that does not know of a change by another server, and counts its reads. */
  async function createLaggingApp() {
    const lagging = await createTestApp();
    const csr = await buildCsr({ name: "a", signerName: "example.com/x" });
    const path = `${CSRS}/a`;
    assert.equal((await lagging.send("POST", CSRS, { body: csr })).code, 201);
    const { storage } = lagging;
    const key = "/registry/certificatesigningrequests/a";
    const getPresent = storage.getKnown.bind(storage);
    const known = getPresent(key);
    let reads = 0;
    storage.getKnown = (wanted) => wanted === key ? known : getPresent(wanted);
    storage.get = async (wanted) => {
      if (wanted === key) reads++;
      return getPresent(wanted);
    };
    return {
      path,
      csr,
      version: String(known?.revision),
      send: lagging.send,
      countReads: () => reads,
      /** Adds a label at another server; returns the new version. */
      async change(label: string): Promise<string> {
        const stored = getPresent(key);
        assert.ok(stored !== undefined);
        const object = withMetadata(stored.object, { labels: { [label]: "b" } }) as typeof stored.object;
        return String((await storage.update(key, object, stored.revision)).revision);
      },
      [Symbol.asyncDispose]: () => lagging[Symbol.asyncDispose](),
    };
  }

  test("update of the current state reads nothing, and a refusal or no change is confirmed by a read", async () => {
    await using lagging = await createLaggingApp();
    const { path, csr, version, send, countReads } = lagging;
    assert.equal((await send("PUT", path, { body: csr })).at("metadata/resourceVersion"), version);
    assert.equal(countReads(), 1);
    assert.equal((await send("PUT", path, { body: withMetadata(csr, { labels: { "": "b" } }) })).code, 422);
    assert.equal(countReads(), 2);
    const dryRun = await send("PUT", `${path}?dryRun=All`, { body: withMetadata(csr, { labels: { a: "b" } }) });
    assert.equal(dryRun.code, 200);
    assert.equal(countReads(), 3);
    assert.equal((await send("PUT", path, { body: withMetadata(csr, { labels: { a: "b" } }) })).code, 200);
    assert.equal(countReads(), 3);
  });

  test("update uses the current state if the known one leads to a refusal, no change or a conflict", async () => {
    await using lagging = await createLaggingApp();
    const { path, csr, version, send, change } = lagging;
    let newest = await change("a");
    // The known state refuses a version that the client has read at another server.
    const conditional = withMetadata(csr, { labels: { a: "c" }, resourceVersion: newest });
    assert.deepEqual((await send("PUT", path, { body: conditional })).at("metadata/labels"), { a: "c" });
    // The known state has no label.
    newest = await change("a");
    assert.equal((await send("PUT", path, { body: csr })).at("metadata/labels"), undefined);
    newest = await change("a");
    const patch = { body: { metadata: { labels: { d: "e" } } }, headers: MERGE };
    assert.deepEqual((await send("PATCH", path, patch)).at("metadata/labels"), { a: "b", d: "e" });
    newest = await change("f");
    const dryRun = await send("PATCH", `${path}?dryRun=All`, patch);
    assert.deepEqual(dryRun.at("metadata/labels"), { f: "b", d: "e" });
    assert.equal(dryRun.at("metadata/resourceVersion"), newest);
    const stale = withMetadata(csr, { labels: { a: "g" }, resourceVersion: version });
    assert.equal((await send("PUT", path, { body: stale })).code, 409);
  });
});
