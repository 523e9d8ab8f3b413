import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRequest } from "../../core/request/parse_request.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { type AuthorityOptions, createAuthority } from "../../core/pki/authority/authority.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { permitNames } from "../../core/pki/x509/name_constraints.ts";
import { createIntermediate } from "../../tests/support/test_authority.ts";
import { getMlDsaRequest } from "../../tests/support/ml_dsa_vectors.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import { identifyCertificate } from "../../core/register/certificate_user.ts";
import { createClientCertificateAuthenticator } from "./authenticator.ts";

const now = new Date("2026-11-25T12:00:00Z");
const ca = createClientCa(now);
const trusted = [(await ca).certificate];
const roots = () => trusted;
const UID_OID = "1.3.6.1.4.1.57683.2";

test("createClientCertificateAuthenticator() returns the name and groups of the subject, and the fingerprint", async () => {
  const peer = await verifiedPeer(await ca, now, {
    commonName: "system:node:n1",
    organizations: ["system:nodes", "b", "a"],
  });
  const result = createClientCertificateAuthenticator(roots)(peer, now);
  assert.ok(result.kind === "user" && peer.kind === "verified");
  assert.equal(result.user.username, "system:node:n1");
  assert.equal(result.user.uid, "");
  const facts = parseCertificate(peer.chain[0]!);
  assert.ok(facts.ok);
  assert.deepEqual(result.user.groups, facts.value.subject.organizations);
  assert.deepEqual(result.user.extra, {
    "authentication.kubernetes.io/credential-id": [`X509SHA256=${facts.value.sha256Fingerprint}`],
  });
});

for (
  const { name, usages, want } of [
    { name: "client auth", usages: ["client auth"], want: "user" },
    { name: "no extended usage", usages: ["digital signature"], want: "user" },
    { name: "any", usages: ["any"], want: "user" },
    { name: "server auth only", usages: ["server auth"], want: "failed" },
  ]
) {
  test(`createClientCertificateAuthenticator() answers ${want} for usages: ${name}`, async () => {
    const peer = await verifiedPeer(await ca, now, { commonName: "u" }, { usages });
    assert.equal(createClientCertificateAuthenticator(roots)(peer, now).kind, want);
  });
}

for (
  const { options, want } of [
    {
      options: {},
      want: {
        kind: "failed",
        reason: "its key is ML-DSA-44, which needs the feature MLDSA of the setting featureGates",
      },
    },
    { options: { allowMlDsa: true }, want: { kind: "user", reason: undefined } },
  ]
) {
  test(`createClientCertificateAuthenticator() answers ${want.kind} for an ML-DSA key with ${JSON.stringify(options)}`, async () => {
    const request = parseRequest(getMlDsaRequest());
    assert.ok(request.ok);
    const peer = await verifiedPeer(await ca, now, { commonName: "u" }, { publicKeyDer: request.value.publicKeyDer });
    const result = createClientCertificateAuthenticator(roots, options)(peer, now);
    const reason = result.kind === "failed" ? result.reason.replace("client certificate: ", "") : undefined;
    assert.deepEqual({ kind: result.kind, reason }, want);
  });
}

test("createClientCertificateAuthenticator() checks the dates at every request", async () => {
  const peer = await verifiedPeer(await ca, now, { commonName: "u" }, {
    notBefore: new Date("2026-11-25T11:00:00Z"),
    notAfter: new Date("2026-11-25T13:00:00Z"),
  });
  const authenticate = createClientCertificateAuthenticator(roots);
  assert.equal(authenticate(peer, new Date("2026-11-25T10:59:59Z")).kind, "failed");
  assert.equal(authenticate(peer, now).kind, "user");
  assert.equal(authenticate(peer, new Date("2026-11-25T13:00:01Z")).kind, "failed");
});

test("createClientCertificateAuthenticator() refuses a cached certificate when its CA is removed", async () => {
  const next = await createClientCa(now);
  let believed = trusted;
  const authenticate = createClientCertificateAuthenticator(() => believed);
  const peer = await verifiedPeer(await ca, now, { commonName: "u" });
  assert.equal(authenticate(peer, now).kind, "user");
  believed = [next.certificate];
  assert.equal(authenticate(peer, now).kind, "failed");
  believed = [next.certificate, ...trusted];
  assert.equal(authenticate(peer, now).kind, "user");
});

test("createClientCertificateAuthenticator() does not verify a certificate again while its CA is trusted", async () => {
  const next = await createClientCa(now);
  let believed = trusted;
  const authenticate = createClientCertificateAuthenticator(() => believed);
  const peer = await verifiedPeer(await ca, now, { commonName: "u" });
  const first = authenticate(peer, now);
  assert.equal(first.kind, "user");
  believed = [next.certificate, ...trusted];
  assert.equal(authenticate(peer, now), first);
});

test("createClientCertificateAuthenticator() verifies again when another certificate of the same CA is trusted", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  const hours = (count: number) => new Date(now.getTime() + count * 3_600_000);
  const certify = async (edit: Partial<AuthorityOptions>) =>
    await createAuthority({
      ...{ commonName: "client-ca", notBefore: hours(-24), notAfter: hours(12), key, serial: Uint8Array.of(1) },
      ...edit,
    });
  const before = await certify({});
  const narrow = permitNames(["example.org"], []);
  const peer = await verifiedPeer(before, now, { commonName: "u" }, { dnsNames: ["u.example.com"] });
  for (
    const { name, after, want } of [
      { name: "the same contents", after: await certify({ serial: Uint8Array.of(9) }), want: "user" },
      { name: "an earlier end", after: await certify({ notAfter: hours(-1) }), want: "failed" },
      { name: "name constraints", after: await certify({ nameConstraints: narrow }), want: "failed" },
    ]
  ) {
    let believed = before;
    const authenticate = createClientCertificateAuthenticator(() => [believed.certificate]);
    assert.equal(authenticate(peer, now).kind, "user");
    believed = after;
    assert.equal(authenticate(peer, now).kind, want, name);
    believed = before;
    assert.equal(authenticate(peer, now).kind, "user");
    assert.equal(authenticate(peer, hours(12.5)).kind, "failed", "the CA has expired");
  }
});

test("createClientCertificateAuthenticator() verifies up to the root when an intermediate is no longer trusted", async () => {
  const root = await ca;
  const below = await createIntermediate(root, "below");
  const peer = await verifiedPeer(below, now, { commonName: "u" });
  let believed = [below.certificate, root.certificate];
  const authenticate = createClientCertificateAuthenticator(() => believed);
  assert.equal(authenticate(peer, now).kind, "user");
  believed = [root.certificate];
  assert.equal(authenticate(peer, now).kind, "user");
  believed = [(await createClientCa(now)).certificate];
  assert.equal(authenticate(peer, now).kind, "failed");
});

test("createClientCertificateAuthenticator() never accepts a certificate that the TLS layer refused", () => {
  const result = createClientCertificateAuthenticator(roots)({
    kind: "unverified",
    reason: "UNABLE_TO_VERIFY",
    chain: [],
  }, now);
  assert.deepEqual(result, { kind: "failed", reason: "client certificate: UNABLE_TO_VERIFY" });
});

test("createClientCertificateAuthenticator() returns none without a certificate or a common name", async () => {
  const authenticate = createClientCertificateAuthenticator(roots);
  assert.deepEqual(authenticate(undefined, now), { kind: "none" });
  const nameless = await verifiedPeer(await ca, now, { organizations: ["system:masters"] });
  assert.deepEqual(authenticate(nameless, now), { kind: "none" });
});

test("createClientCertificateAuthenticator() fails on bytes that are not a certificate", () => {
  const peer = { kind: "verified", chain: [new Uint8Array([1, 2, 3])] } as const;
  assert.equal(createClientCertificateAuthenticator(roots)(peer, now).kind, "failed");
});

for (
  const { name, values, want } of [
    { name: "one uid", values: ["id-1"], want: "id-1" },
    { name: "an empty uid", values: [""], want: "UID cannot be an empty string" },
    { name: "two uids", values: ["a", "b"], want: "expected 1 UID, but found multiple: [a b]" },
    { name: "a uid that is not text", values: [undefined], want: "unable to parse UID into a string" },
  ]
) {
  test(`identifyCertificate() reads ${name}`, async () => {
    const peer = await verifiedPeer(await ca, now, { commonName: "u" });
    assert.ok(peer.kind === "verified");
    const facts = parseCertificate(peer.chain[0]!);
    assert.ok(facts.ok);
    const otherAttributes = values.map((value) => ({ oid: UID_OID, value }));
    const leaf: CertificateFacts = { ...facts.value, subject: { ...facts.value.subject, otherAttributes } };
    const result = identifyCertificate(leaf);
    if (result.kind === "user") assert.equal(result.user.uid, want);
    else assert.equal(result.kind === "failed" && result.reason, want);
  });
}
