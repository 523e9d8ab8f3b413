import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createTestApp, createUser, type TestApp } from "../../tests/support/test_app.ts";
import { SECOND_TRUST_ANCHOR, TRUST_ANCHOR } from "../../tests/support/trust_anchor.ts";

const ROTATIONS = "/apis/tlsboot/v1alpha1/carotations";
const REPORTS = "/apis/tlsboot/v1alpha1/trustreports";
const SPEC = { step: "Trust", isLeaked: true, oldCA: TRUST_ANCHOR, newCA: SECOND_TRUST_ANCHOR };
const MERGE = { "content-type": "application/merge-patch+json" };
let app: TestApp;

describe("carotations", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  for (
    const { name, rotation = "ca", spec, want } of [
      { name: "an unknown CA", rotation: "root", spec: {}, want: /metadata.name: Unsupported value: "root"/ },
      { name: "text that is not a CA", spec: { newCA: "x" }, want: /spec.newCA: Invalid value: must contain/ },
      {
        name: "the same key twice",
        spec: { newCA: TRUST_ANCHOR },
        want: /spec.newCA: Invalid value: it has the key of/,
      },
      { name: "no cross-signed CA", spec: { isLeaked: false }, want: /spec.crossSignedCA: Invalid value: must be set/ },
      {
        name: "a cross-signed CA that is the new one",
        spec: { crossSignedCA: SECOND_TRUST_ANCHOR },
        want: /spec.crossSignedCA: Invalid value: must be signed by the old CA/,
      },
      {
        name: "only one end of the renewal window",
        spec: { renewFrom: "2026-01-01T00:00:00Z" },
        want: /spec.renewBy: Invalid value: renewFrom and renewBy go together/,
      },
      { name: "another step", spec: { step: "Begin" }, want: /spec.step: Unsupported value: "Begin"/ },
    ]
  ) {
    test(`a CARotation with ${name} is refused`, async () => {
      const body = { metadata: { name: rotation }, spec: { ...SPEC, ...spec } };
      const refused = await app.send("POST", ROTATIONS, { body });
      assert.equal(refused.code, 422);
      assert.match(String(refused.at("message")), want);
    });
  }

  test("a CARotation goes through its steps, which the server timestamps, and cannot go back from the last one or change its CAs", async () => {
    const change = (spec: object) => app.send("PATCH", `${ROTATIONS}/ca`, { body: { spec }, headers: MERGE });
    const begun = await app.send("POST", ROTATIONS, { body: { metadata: { name: "ca" }, spec: SPEC } });
    assert.equal(begun.code, 201);
    assert.equal(begun.at("status/beganAt"), "2026-01-01T00:00:00Z");
    assert.equal(begun.at("status/switchedAt"), undefined);
    const servers = [{ name: "one", step: "Trust", time: null }];
    const adopted = await app.send("PATCH", `${ROTATIONS}/ca/status`, {
      body: { status: { servers } },
      headers: MERGE,
    });
    assert.equal(adopted.code, 200);
    const switched = await change({ step: "Switch" });
    assert.equal(switched.at("status/switchedAt"), "2026-01-01T00:00:00Z");
    assert.deepEqual(switched.at("status/servers"), servers);
    assert.match(
      String((await change({ oldCA: SECOND_TRUST_ANCHOR })).at("message")),
      /spec.oldCA: Forbidden: cannot change/,
    );
    assert.match(String((await change({ isLeaked: false })).at("message")), /spec.isLeaked: Forbidden/);
    assert.match(
      String((await app.send("DELETE", `${ROTATIONS}/ca`)).at("message")),
      /forbidden: .*finish the rotation, or/,
    );
    assert.equal((await change({ step: "Trust" })).at("status/switchedAt"), undefined);
    assert.equal((await change({ step: "Finish" })).at("status/finishedAt"), "2026-01-01T00:00:00Z");
    assert.match(String((await change({ step: "Switch" })).at("message")), /the rotation is finished/);
  });

  test("a TrustReport has the name of its user, and the next one of the same user replaces it", async () => {
    const user = createUser("alice");
    const subjects = [{ kind: "User", name: "alice" }];
    const roleRef = { kind: "ClusterRole", name: "cluster-admin", apiGroup: "rbac.authorization.k8s.io" };
    const body = { metadata: { name: "alice" }, subjects, roleRef };
    await app.send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", { body });
    const report = (trusted: readonly string[]) =>
      app.send("POST", REPORTS, {
        user,
        body: { metadata: { name: "user:bob" }, spec: { trusted }, status: { issuer: "x" } },
      });
    const first = await report(["ab".repeat(32)]);
    assert.equal(first.code, 201);
    assert.equal(first.at("metadata/name"), "user:alice");
    assert.deepEqual(first.at("status"), { username: "alice", reportedAt: "2026-01-01T00:00:00Z" });
    const second = await report(["cd".repeat(32)]);
    assert.equal(second.code, 201);
    assert.equal(second.at("metadata/uid"), first.at("metadata/uid"));
    assert.notEqual(second.at("metadata/resourceVersion"), first.at("metadata/resourceVersion"));
    assert.deepEqual((await app.send("GET", `${REPORTS}/user:alice`)).at("spec/trusted"), ["cd".repeat(32)]);
    assert.match(String((await report(["AB"])).at("message")), /spec.trusted\[0\]: Invalid value: "AB"/);
  });
});
