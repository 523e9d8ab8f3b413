import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { buildCsr, type CsrOptions, forgeRequest } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createTestApp, createUser, type TestApp } from "../../tests/support/test_app.ts";
import { objectMetaSchema } from "../../core/kube/kinds/mod.ts";
import { withMeta } from "./write.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";

const KEYS = Object.keys(objectMetaSchema.fields);

/** Metadata in Go's order with some of the keys; the value says where a key is from. */
function pickSome(value: fc.Arbitrary<string | undefined>): fc.Arbitrary<Record<string, string | undefined>> {
  return fc.subarray(KEYS).chain((keys) => fc.tuple(...keys.map((key) => value.map((text) => [key, text] as const))))
    .map((entries) => Object.fromEntries(entries));
}

test("withMeta() keeps metadata in Go's order, whatever is added, removed or replaced", () => {
  fc.assert(fc.property(
    pickSome(fc.constant("old")),
    pickSome(fc.constantFrom("new", undefined)),
    (metadata, edit) => {
      const before = { ...metadata };
      const edited = withMeta({ metadata }, edit as Parameters<typeof withMeta>[1]).metadata;
      const want = KEYS.map((key) => [key, key in edit ? edit[key] : metadata[key]])
        .filter(([, value]) => value !== undefined);
      assert.deepEqual(Object.entries(edited), want);
      assert.deepEqual(metadata, before);
    },
  ));
});

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
let app: TestApp;

describe("a create", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  async function post(options: CsrOptions, query = "") {
    return await app.send("POST", `${CSRS}${query}`, { body: await buildCsr(options) });
  }

  test("create answers 201 with the fields that the server sets, and 409 the second time", async () => {
    const created = await post({ name: "one", metadata: { labels: { a: "b" }, finalizers: ["x.y/z"] } });
    assert.equal(created.code, 201);
    assert.match(
      String(created.at("metadata/uid")),
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    assert.match(String(created.at("metadata/resourceVersion")), /^[1-9][0-9]*$/);
    assert.equal(created.at("metadata/creationTimestamp"), "2026-01-01T00:00:00Z");
    assert.deepEqual(created.at("metadata/labels"), { a: "b" });
    assert.deepEqual(created.at("metadata/finalizers"), ["x.y/z"]);
    assert.equal(created.at("metadata/generation"), undefined);
    assert.deepEqual(created.at("status"), {});
    const again = await post({ name: "one" });
    assert.equal(again.code, 409);
    assert.equal(again.at("reason"), "AlreadyExists");
    assert.equal(again.at("message"), 'certificatesigningrequests.certificates.k8s.io "one" already exists');
    assert.deepEqual(again.at("details"), {
      name: "one",
      group: "certificates.k8s.io",
      kind: "certificatesigningrequests",
    });
  });

  // `pkg/registry/certificates/certificates/strategy.go`, PrepareForCreate.
  test("create sets the requester, in the user's group order, and clears the status", async () => {
    const csr = await buildCsr({ name: "stamped", username: "bob", groups: ["x"] });
    const bob = {
      username: "alice",
      uid: "123",
      groups: ["g2", "g1", "system:authenticated"],
      extra: { foo: ["bar"] },
    };
    const body = { ...csr, status: { conditions: [{ type: "Approved", status: "True" }], certificate: "eA==" } };
    const binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    const granted = await app.send("POST", binding, {
      body: {
        metadata: { name: "alice-asks" },
        subjects: [{ kind: "User", name: "alice" }],
        roleRef: { kind: "ClusterRole", name: "system:node-bootstrapper", apiGroup: "rbac.authorization.k8s.io" },
      },
    });
    assert.equal(granted.code, 201);
    const created = await app.send("POST", CSRS, { body, user: bob });
    assert.equal(created.code, 201);
    const { username, uid, groups, extra } = created.at("spec") as Record<string, unknown>;
    assert.deepEqual({ username, uid, groups, extra }, { ...bob });
    assert.deepEqual(created.at("status"), {});
    const plain = await app.send("POST", CSRS, {
      body: { ...csr, metadata: { name: "plain" } },
      user: createUser("alice"),
    });
    assert.equal(plain.at("spec/uid"), undefined);
    assert.equal(plain.at("spec/extra"), undefined);
  });

  test("create ignores fields that clients may not set", async () => {
    const created = await post({
      name: "ignored",
      metadata: {
        namespace: "somewhere",
        uid: "mine",
        selfLink: "/x",
        creationTimestamp: "2020-01-01T00:00:00Z",
        deletionTimestamp: "2020-01-01T00:00:00Z",
        deletionGracePeriodSeconds: 5,
        resourceVersion: "x",
      },
    });
    assert.equal(created.code, 201);
    const metadata = created.at("metadata") as Record<string, unknown>;
    assert.deepEqual(Object.keys(metadata).sort(), ["creationTimestamp", "name", "resourceVersion", "uid"]);
  });

  test("create refuses a resourceVersion with 500, and keeps it in a dry run", async () => {
    const refused = await post({ name: "versioned", metadata: { resourceVersion: "5" } });
    assert.equal(refused.code, 500);
    assert.equal(refused.at("reason"), undefined);
    assert.equal(refused.at("message"), "resourceVersion should not be set on objects to be created");
    const dry = await post({ name: "versioned", metadata: { resourceVersion: "5" } }, "?dryRun=All");
    assert.equal(dry.at("metadata/resourceVersion"), "5");
  });

  test("create with dryRun=All stores nothing, but refuses an existing object", async () => {
    const before = app.storage.revision();
    const dry = await post({ name: "dry" }, "?dryRun=All");
    assert.equal(dry.code, 201);
    assert.equal(dry.at("metadata/resourceVersion"), undefined);
    assert.equal(app.storage.revision(), before);
    assert.equal((await app.send("GET", `${CSRS}/dry`)).code, 404);
    await post({ name: "dry" });
    assert.equal((await post({ name: "dry" }, "?dryRun=All")).code, 409);
  });

  test("create verifies the signature of a request for each way to create it, and reports every fault in order", async () => {
    const apply = { "content-type": "application/apply-patch+yaml" };
    for (
      const { method, path, headers } of [
        { method: "POST", path: CSRS, headers: {} },
        { method: "POST", path: `${CSRS}?dryRun=All`, headers: {} },
        { method: "PATCH", path: `${CSRS}/forged?fieldManager=m`, headers: apply },
        { method: "PATCH", path: `${CSRS}/forged?fieldManager=m&dryRun=All`, headers: apply },
      ]
    ) {
      const request = await forgeRequest(`honest-${method}-${path.length}`);
      const body = {
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        metadata: { name: "forged", labels: { a: "*" } },
        spec: { request, signerName: "example.com/x", usages: ["client auth", "client auth"] },
      };
      for (const attempt of ["verified aside", "known"]) {
        const refused = await app.send(method, path, { body, headers });
        assert.equal(refused.code, 422, `${method} ${path} ${attempt}`);
        const causes = refused.at("details/causes") as { readonly field: string; readonly message: string }[];
        assert.deepEqual(causes.map(({ field }) => field), ["metadata.labels", "spec.request", "spec.usages[1]"]);
        assert.match(causes[1]!.message, /: x509: ECDSA verification failure$/);
      }
    }
    assert.equal((await app.send("GET", `${CSRS}/forged`)).code, 404);
  });

  test("create generates names: 58 bytes and five characters", async () => {
    const csr = await buildCsr();
    const made = await app.send("POST", CSRS, { body: { ...csr, metadata: { generateName: "a".repeat(70) } } });
    assert.match(String(made.at("metadata/name")), /^a{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    const named = await app.send("POST", CSRS, { body: { ...csr, metadata: { name: "wins", generateName: "b" } } });
    assert.equal(named.at("metadata/name"), "wins");
  });

  test("create tries eight generated names, then answers that the client should try again", async () => {
    let calls = 0;
    const random = {
      float: () => 0,
      bytes(length: number) {
        if (length === 8) calls++;
        return new Uint8Array(length);
      },
    };
    await using stuck = await createTestApp({ random });
    const csr = await buildCsr();
    const body = { ...csr, metadata: { generateName: "x-" } };
    assert.equal((await stuck.send("POST", CSRS, { body })).at("metadata/name"), "x-bbbbb");
    calls = 0;
    const answer = await stuck.send("POST", CSRS, { body });
    assert.equal(calls, 8);
    assert.equal(answer.code, 409);
    assert.equal(answer.headers.get("retry-after"), "1");
    assert.equal(
      answer.at("message"),
      'certificatesigningrequests.certificates.k8s.io "x-bbbbb" already exists, the server was not able to generate a ' +
        "unique name for the object",
    );
  });

  // `pkg/apis/certificates/validation/validation.go`.
  for (
    const [name, want] of [
      ["a/b", "metadata.name: Invalid value: \"a/b\": may not contain '/'"],
      ["..", "metadata.name: Invalid value: \"..\": may not be '..'"],
      ["node-csr-AbC_-x", undefined],
      ["csr:1", undefined],
      ["with spaces Ü", undefined],
    ] as const
  ) {
    test(`create ${want === undefined ? "accepts" : "refuses"} the name ${JSON.stringify(name)}`, async () => {
      const answer = await post({ name });
      assert.equal(answer.code, want === undefined ? 201 : 422);
      if (want === undefined) {
        const read = await app.send("GET", `${CSRS}/${encodeURIComponent(name)}`);
        assert.equal(read.at("metadata/name"), name);
      } else {
        assert.equal(
          answer.at("message"),
          `CertificateSigningRequest.certificates.k8s.io "${name}" is invalid: ${want}`,
        );
      }
    });
  }

  test("create reports every fault of the spec at once, and a fault of the name only when the spec is valid", async () => {
    const answer = await post({ name: "a/b", usages: ["foo", "foo"], signerName: "x", expirationSeconds: 5 });
    assert.equal(answer.code, 422);
    const causes = answer.at("details/causes") as readonly { field: string; reason: string }[];
    assert.deepEqual(causes.map(({ field, reason }) => `${field} ${reason}`), [
      "spec.usages[0] FieldValueNotSupported",
      "spec.usages[1] FieldValueNotSupported",
      "spec.usages[1] FieldValueDuplicate",
      "spec.signerName FieldValueInvalid",
      "spec.expirationSeconds FieldValueInvalid",
    ]);
  });

  test("create in a namespace requires that it exists, and that the body does not name another one", async () => {
    const create = (namespace: string, metadata: object) =>
      app.send("POST", `/api/v1/namespaces/${namespace}/configmaps`, { body: { metadata, data: { a: "b" } } });
    assert.equal((await create("default", { name: "c" })).code, 201);
    assert.equal((await create("nowhere", { name: "c" })).code, 404);
    const other = await create("default", { name: "d", namespace: "kube-system" });
    assert.equal(other.code, 400);
    assert.equal(
      other.at("message"),
      "the namespace of the provided object does not match the namespace sent on the request",
    );
  });

  test("a server on a full store starts, answers reads, and creates nothing", async () => {
    const clock = createFakeClock();
    await using storage = createMemoryStorage({ clock, quotaBytes: 4_000 });
    await using full = await createTestApp({ clock, storage });
    assert.match(full.logger.messages("error").join("\n"), /^default object not written$/m);
    assert.equal((await full.send("GET", "/api/v1/namespaces")).code, 200);
    const refused = await full.send("POST", "/api/v1/namespaces", { body: { metadata: { name: "x".repeat(63) } } });
    assert.equal(refused.code, 500);
    assert.equal(refused.at("message"), "etcdserver: mvcc: database space exceeded");
  });
});
