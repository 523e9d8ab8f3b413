/** Kubernetes' own conformance test of the CSR API (`test/e2e/auth/certificates.go`), ported to the app. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBase64 } from "../core/lib/encodings.ts";
import { buildCsr } from "../tests/support/csr_builder.ts";
import { createSigningCa } from "../tests/support/signing_ca.ts";
import { createTestApp, WatchReader } from "../tests/support/test_app.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const MERGE = { "content-type": "application/merge-patch+json" };
const SIGNER = "example.com/e2e-test";

test("the API operations of the CSR conformance test", async () => {
  await using app = await createTestApp();
  const csr = await buildCsr({
    commonName: "e2e.example.com",
    organizations: [],
    dnsNames: ["e2e.example.com"],
    signerName: SIGNER,
    usages: ["digital signature", "key encipherment", "server auth"],
    expirationSeconds: 3600,
  });
  const template = { ...csr, metadata: { generateName: "e2e-example-csr-" } };
  const create = async () => {
    const created = await app.send("POST", CSRS, { body: template });
    assert.equal(created.code, 201);
    return String(created.at("metadata/name"));
  };
  const names = [await create(), await create(), await create()];
  assert.equal(new Set(names).size, 3);
  const name = names[0]!;
  const path = `${CSRS}/${name}`;
  const read = await app.send("GET", path);
  assert.equal(read.at("spec/expirationSeconds"), 3600);
  const uid = read.at("metadata/uid");
  const firstVersion = BigInt(String(read.at("metadata/resourceVersion")));
  assert.ok(firstVersion > 0n);

  const bySigner = `${CSRS}?fieldSelector=spec.signerName%3D${SIGNER}`;
  const list = await app.send("GET", bySigner);
  assert.equal(list.names().length, 3);
  await using watch = new WatchReader(
    await app.open(
      "GET",
      `${CSRS}?watch=1&fieldSelector=metadata.name%3D${name}&resourceVersion=${list.at("metadata/resourceVersion")}`,
    ),
  );

  const patched = await app.send("PATCH", path, {
    body: { metadata: { annotations: { patched: "true" } } },
    headers: MERGE,
  });
  assert.equal(patched.at("metadata/annotations/patched"), "true");
  assert.ok(BigInt(String(patched.at("metadata/resourceVersion"))) > firstVersion);
  const current = JSON.parse(patched.text);
  current.metadata.annotations.updated = "true";
  const updated = await app.send("PUT", path, { body: current });
  assert.equal(updated.at("metadata/annotations/updated"), "true");
  const event = await watch.next();
  assert.equal(event?.type, "MODIFIED");
  assert.equal(event?.at("metadata/annotations/patched"), "true");

  for (const subresource of ["approval", "status"]) {
    const got = await app.send("GET", `${path}/${subresource}`);
    assert.equal(got.at("kind"), "CertificateSigningRequest");
    assert.equal(got.at("apiVersion"), "certificates.k8s.io/v1");
    assert.equal(got.at("metadata/uid"), uid);
  }
  const approvalPatch = { type: "ApprovalPatch", status: "True", reason: "e2e" };
  const approving = await app.send("PATCH", `${path}/approval`, {
    body: { metadata: { annotations: { patchedapproval: "true" } }, status: { conditions: [approvalPatch] } },
    headers: MERGE,
  });
  assert.equal((approving.at("status/conditions") as unknown[]).length, 1);
  assert.equal(approving.at("status/conditions/0/type"), "ApprovalPatch");
  assert.equal(approving.at("metadata/annotations/patchedapproval"), "true");
  const approved = JSON.parse(approving.text);
  approved.status.conditions.push({ type: "Approved", status: "True", reason: "E2E", message: "Set from an e2e test" });
  const put = await app.send("PUT", `${path}/approval`, { body: approved });
  assert.equal((put.at("status/conditions") as unknown[]).length, 2);
  assert.equal(put.at("status/conditions/1/type"), "Approved");

  const ca = await createSigningCa();
  const certificate = encodeBase64(ca.certificatePem + ca.certificatePem);
  const issued = await app.send("PATCH", `${path}/status`, {
    body: { metadata: { annotations: { patchedstatus: "true" } }, status: { certificate } },
    headers: MERGE,
  });
  assert.equal(issued.at("status/certificate"), certificate);
  assert.equal(issued.at("metadata/annotations/patchedstatus"), "true");
  const withCondition = JSON.parse(issued.text);
  withCondition.status.conditions.push({ type: "StatusUpdate", status: "True", reason: "E2E" });
  const last = await app.send("PUT", `${path}/status`, { body: withCondition });
  assert.equal((last.at("status/conditions") as unknown[]).length, 3);
  assert.equal(last.at("status/conditions/2/type"), "StatusUpdate");

  assert.equal((await app.send("DELETE", path)).code, 200);
  assert.equal((await app.send("GET", path)).at("reason"), "NotFound");
  assert.equal((await app.send("GET", bySigner)).names().length, 2);
  assert.equal((await app.send("DELETE", bySigner)).code, 200);
  assert.deepEqual((await app.send("GET", bySigner)).names(), []);
});
