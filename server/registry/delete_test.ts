import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createTestApp, createUser, type TestApp, WatchReader } from "../../tests/support/test_app.ts";
import type { DeleteOptions, KubeObject } from "../../core/kube/meta.ts";
import { markForDeletion, planFinalizersAfterDeletion } from "./delete.ts";
import type { DeletionRules } from "./resource.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const MERGE = { "content-type": "application/merge-patch+json" };
let app: TestApp;

describe("a delete", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  async function create(name: string, metadata: object = {}): Promise<string> {
    const body = await buildCsr({ name, metadata: { name, ...metadata }, signerName: "example.com/x" });
    const created = await app.send("POST", CSRS, { body });
    assert.equal(created.code, 201);
    return String(created.at("metadata/uid"));
  }

  test("delete answers a Status with the uid, then 404", async () => {
    const uid = await create("gone");
    const deleted = await app.send("DELETE", `${CSRS}/gone`, { body: { propagationPolicy: "Background" } });
    assert.equal(deleted.code, 200);
    assert.deepEqual(JSON.parse(deleted.text), {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Success",
      details: { name: "gone", group: "certificates.k8s.io", kind: "certificatesigningrequests", uid },
    });
    const again = await app.send("DELETE", `${CSRS}/gone`);
    assert.equal(again.code, 404);
    assert.equal(again.at("message"), 'certificatesigningrequests.certificates.k8s.io "gone" not found');
  });

  // apiserver `pkg/endpoints/handlers/delete.go`; the answers of a real kube-apiserver 1.37.2.
  for (
    const { name, body, query = "", headers = {}, code, message } of [
      {
        name: "another uid",
        body: { preconditions: { uid: "x" } },
        code: 409,
        message:
          /^Operation cannot be fulfilled on CertificateSigningRequest\.certificates\.k8s\.io "kept": the UID in the precondition \(x\) does not match the UID in record \([0-9a-f-]+\)\. The object might have been deleted and then recreated$/,
      },
      {
        name: "another resourceVersion",
        body: { preconditions: { resourceVersion: "1" } },
        code: 409,
        message:
          /the ResourceVersion in the precondition \(1\) does not match the ResourceVersion in record \(\d+\)\. The object might have been modified$/,
      },
      {
        name: "an unknown policy",
        body: { propagationPolicy: "x" },
        code: 422,
        message:
          /propagationPolicy: Unsupported value: "x": supported values: "Foreground", "Background", "Orphan", "nil"$/,
      },
      {
        name: "an unknown policy in the query",
        query: "?propagationPolicy=x",
        code: 422,
        message: /propagationPolicy: Unsupported value/,
      },
      { name: "an unknown dryRun", body: { dryRun: ["x"] }, code: 422, message: /dryRun: Unsupported value/ },
      {
        name: "a bad number",
        query: "?gracePeriodSeconds=x",
        code: 400,
        message: /strconv\.ParseInt: parsing "x": invalid syntax/,
      },
      {
        name: "broken JSON",
        body: "{",
        code: 400,
        message: /^couldn't get version\/kind; json parse error: unexpected end of JSON input$/,
      },
      {
        name: "another kind",
        body: { kind: "Foo", apiVersion: "v1" },
        code: 400,
        message: /^no kind "Foo" is registered for version "v1" in scheme "pkg\/runtime\/scheme\.go:111"$/,
      },
      {
        name: "a wrong type",
        body: { dryRun: 5 },
        code: 400,
        message: /^json: cannot unmarshal number into Go struct field DeleteOptions\.dryRun of type \[\]string$/,
      },
      {
        name: "an unknown media type",
        body: "{}",
        headers: { "content-type": "text/plain" },
        code: 415,
        message: /unknown format/,
      },
    ] satisfies readonly {
      name: string;
      body?: object | string;
      query?: string;
      headers?: Record<string, string>;
      code: number;
      message: RegExp;
    }[]
  ) {
    test(`delete answers ${code} to ${name}, and keeps the object`, async () => {
      if ((await app.send("GET", `${CSRS}/kept`)).code === 404) await create("kept");
      const answer = await app.send("DELETE", `${CSRS}/kept${query}`, {
        headers,
        ...(body === undefined ? {} : { body }),
      });
      assert.equal(answer.code, code);
      assert.match(String(answer.at("message")), message);
      assert.equal((await app.send("GET", `${CSRS}/kept`)).code, 200);
    });
  }

  for (const apiVersion of ["v1", "meta.k8s.io/v1", "certificates.k8s.io/v1", "apps/v1"]) {
    test(`delete accepts DeleteOptions of ${apiVersion}, and dryRun deletes nothing`, async () => {
      const name = `options-${apiVersion.replace("/", "-")}`;
      await create(name);
      const body = { kind: "DeleteOptions", apiVersion, dryRun: ["All"] };
      const answer = await app.send("DELETE", `${CSRS}/${name}`, { body });
      assert.equal(answer.code, 200);
      assert.equal(answer.at("status"), "Success");
      assert.equal((await app.send("GET", `${CSRS}/${name}`)).code, 200);
    });
  }

  test("delete marks an object with finalizers; the removal of the last one removes it", async () => {
    await create("held", { finalizers: ["a.b/c"] });
    const marked = await app.send("DELETE", `${CSRS}/held`);
    assert.equal(marked.code, 200);
    assert.equal(marked.at("kind"), "CertificateSigningRequest");
    assert.equal(marked.at("metadata/deletionTimestamp"), "2026-01-01T00:00:00Z");
    assert.equal(marked.at("metadata/deletionGracePeriodSeconds"), 0);
    const version = String(marked.at("metadata/resourceVersion"));
    const again = await app.send("DELETE", `${CSRS}/held`);
    assert.equal(again.at("metadata/resourceVersion"), version);
    const taken = await app.send("POST", CSRS, { body: await buildCsr({ name: "held" }) });
    assert.equal(
      taken.at("message"),
      'object is being deleted: certificatesigningrequests.certificates.k8s.io "held" already exists',
    );
    const patch = (finalizers: readonly string[]) =>
      app.send("PATCH", `${CSRS}/held`, { body: { metadata: { finalizers } }, headers: MERGE });
    const more = await patch(["a.b/c", "d.e/f"]);
    assert.equal(more.code, 422);
    assert.match(String(more.at("message")), /no new finalizers can be added if the object is being deleted/);
    const watching = await app.open(
      "GET",
      `${CSRS}?watch=1&resourceVersion=${version}&fieldSelector=metadata.name%3Dheld`,
    );
    await using watch = new WatchReader(watching);
    const freed = await patch([]);
    assert.equal(freed.code, 200);
    assert.equal((await app.send("GET", `${CSRS}/held`)).code, 404);
    const event = await watch.next();
    assert.equal(event?.type, "DELETED");
    assert.equal(event?.at("metadata/resourceVersion"), String(app.storage.revision()));
  });

  test("deletecollection deletes and lists the selected objects", async () => {
    await create("many-1", { labels: { many: "yes" } });
    await create("many-2", { labels: { many: "yes" } });
    await create("few", { labels: { many: "no" } });
    const dry = await app.send("DELETE", `${CSRS}?labelSelector=many%3Dyes&dryRun=All`);
    assert.deepEqual(dry.names(), ["many-1", "many-2"]);
    assert.equal((await app.send("GET", `${CSRS}?labelSelector=many%3Dyes`)).names().length, 2);
    const table = await app.send("DELETE", `${CSRS}?labelSelector=many%3Dnone`, {
      headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
    });
    assert.equal(table.at("kind"), "Table");
    const deleted = await app.send("DELETE", `${CSRS}?labelSelector=many%3Dyes`);
    assert.equal(deleted.code, 200);
    assert.equal(deleted.at("kind"), "CertificateSigningRequestList");
    assert.deepEqual(deleted.names(), ["many-1", "many-2"]);
    assert.deepEqual((await app.send("GET", `${CSRS}?labelSelector=many`)).names(), ["few"]);
    const refused = await app.send("DELETE", `${CSRS}?fieldSelector=foo%3Dx`);
    assert.equal(refused.at("message"), "field label not supported: foo");
  });

  test("delete of an object that already waits for a finalizer writes nothing, however large the object is", async () => {
    for (const bytes of [10, 1_400_000]) {
      const path = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
      const metadata = { name: `held-${bytes}`, finalizers: ["example.com/held"] };
      const created = await app.send("POST", path, {
        body: {
          kind: "Lease",
          apiVersion: "coordination.k8s.io/v1",
          metadata,
          spec: { holderIdentity: "x".repeat(bytes) },
        },
      });
      assert.equal(created.code, 201, created.text.slice(0, 300));
      const versions: unknown[] = [];
      for (let call = 0; call < 3; call++) {
        await app.send("DELETE", `${path}/${metadata.name}`);
        versions.push((await app.send("GET", `${path}/${metadata.name}`)).at("metadata/resourceVersion"));
      }
      assert.notEqual(versions[0], created.at("metadata/resourceVersion"));
      assert.deepEqual(versions, [versions[0], versions[0], versions[0]]);
    }
  });

  // `apiserver/pkg/endpoints/handlers/delete.go` and `registry/generic/registry/corrupt_obj_deleter.go`.
  test("an unsafe delete refuses readable objects, and requires a separate permission", async () => {
    const UNSAFE = "ignoreStoreReadErrorWithClusterBreakingPotential";
    await create("readable");
    for (const query of [`?${UNSAFE}=true`, `?${UNSAFE}=F&dryRun=All`]) {
      const refused = await app.send("DELETE", `${CSRS}/readable${query}`);
      assert.equal(refused.code, 409);
      assert.match(String(refused.at("message")), /unsafe deletion is not allowed because the object is decodable/);
    }
    const inBody = await app.send("DELETE", `${CSRS}/readable`, { body: { [UNSAFE]: true } });
    assert.equal(inBody.code, 409);
    assert.equal((await app.send("DELETE", `${CSRS}/missing?${UNSAFE}=1`)).code, 404);
    const withPolicy = await app.send("DELETE", `${CSRS}/readable?${UNSAFE}=1&propagationPolicy=Orphan`);
    assert.equal(withPolicy.code, 422);
    const role = await app.send("DELETE", `/apis/rbac.authorization.k8s.io/v1/clusterroles/none?${UNSAFE}=1`);
    assert.equal(role.code, 500);
    assert.match(String(role.at("message")), /no unsafe deleter provided/);

    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    const rules = [{
      apiGroups: ["certificates.k8s.io"],
      resources: ["certificatesigningrequests"],
      verbs: ["delete"],
    }];
    const subjects = [{ kind: "User", name: "deleter", apiGroup: "rbac.authorization.k8s.io" }];
    const roleRef = { kind: "ClusterRole", name: "deletes", apiGroup: "rbac.authorization.k8s.io" };
    await app.send("POST", `${rbac}/clusterroles`, { body: { metadata: { name: "deletes" }, rules } });
    await app.send("POST", `${rbac}/clusterrolebindings`, {
      body: { metadata: { name: "deletes" }, subjects, roleRef },
    });
    const forbidden = await app.send("DELETE", `${CSRS}/readable?${UNSAFE}=1`, { user: createUser("deleter") });
    assert.equal(forbidden.code, 403);
    assert.match(String(forbidden.at("message")), /not permitted to do "unsafe-delete-ignore-read-errors"/);
    assert.equal((await app.send("GET", `${CSRS}/readable`)).code, 200);
  });
});

function held(...finalizers: string[]): KubeObject {
  return { metadata: { name: "a", ...(finalizers.length === 0 ? {} : { finalizers }) } };
}

// apiserver pkg/registry/generic/registry/store.go, shouldOrphanDependents and shouldDeleteDependentsInForeground.
for (
  const { name, object = held(), options = {}, rules = {}, want } of [
    { name: "no options are given", want: [] },
    { name: "a finalizer holds it", object: held("x.example/h"), want: ["x.example/h"] },
    { name: "dependents are orphaned", options: { propagationPolicy: "Orphan" }, want: ["orphan"] },
    {
      name: "dependents are deleted first",
      object: held("x.example/h"),
      options: { propagationPolicy: "Foreground" },
      want: ["x.example/h", "foregroundDeletion"],
    },
    { name: "the policy is changed", object: held("orphan"), options: { propagationPolicy: "Background" }, want: [] },
    { name: "the policy was set before", object: held("orphan"), want: ["orphan"] },
    { name: "an old client requests orphans", options: { orphanDependents: true }, want: ["orphan"] },
    {
      name: "an old client requests no orphans",
      object: held("orphan", "foregroundDeletion"),
      options: { orphanDependents: false },
      want: [],
    },
    {
      name: "the resource has no policies",
      object: held("orphan", "x.example/h"),
      options: { propagationPolicy: "Foreground" },
      rules: { withoutPolicy: true },
      want: ["x.example/h"],
    },
  ] as { name: string; object?: KubeObject; options?: DeleteOptions; rules?: DeletionRules; want: string[] }[]
) {
  test(`planFinalizersAfterDeletion() returns ${want.length} when ${name}`, () => {
    assert.deepEqual(planFinalizersAfterDeletion(object, options, rules), want);
  });
}

test("markForDeletion() marks once, increments the generation, and keeps the first time", () => {
  const at = new Date("2026-01-01T00:00:00Z");
  const object: KubeObject = { metadata: { name: "a", generation: 3, finalizers: ["x.example/h"] } };
  const marked = markForDeletion(object, object.metadata.finalizers ?? [], at);
  assert.deepEqual(marked.metadata, {
    name: "a",
    generation: 4,
    deletionTimestamp: "2026-01-01T00:00:00Z",
    deletionGracePeriodSeconds: 0,
    finalizers: ["x.example/h"],
  });
  const later = new Date("2026-01-02T00:00:00Z");
  assert.equal(markForDeletion(marked, marked.metadata.finalizers ?? [], later), marked);
  const changed = markForDeletion(marked, ["orphan"], later);
  assert.equal(changed.metadata.deletionTimestamp, "2026-01-01T00:00:00Z");
  assert.equal(changed.metadata.generation, 4);
});
