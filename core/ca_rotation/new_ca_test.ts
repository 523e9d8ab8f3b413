import assert from "node:assert/strict";
import { test } from "node:test";
import { Buffer } from "node:buffer";
import { createRecords } from "../../tests/support/issued_records.ts";
import {
  createIntermediate,
  createTestAuthority,
  hoursFromNow,
  issueTestCertificate,
  NOW,
  planTestLeaf,
  unwrap,
} from "../../tests/support/test_authority.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import type { CaRotation } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { createAuthority } from "../pki/authority/authority.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import { NO_SUBTREES } from "../pki/x509/name_constraints.ts";
import {
  createWrappedKeySecret,
  crossSign,
  decideBegin,
  ExcludedCertificates,
  findBeginFault,
  findCrossSignFault,
  findWrappedKey,
  getNextName,
  inheritProperties,
  unwrapKey,
  wrapKey,
} from "./new_ca.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { verifyChain } from "../pki/x509/chain.ts";

const oldCa = await createTestAuthority();
const longer = { notAfter: hoursFromNow(48), commonName: "kubernetes-2" };
const newCa = await createTestAuthority("ecdsa-p256", longer);

for (
  const [name, want] of [
    ["tlsboot-ca", "tlsboot-ca-2"],
    ["tlsboot-ca-2", "tlsboot-ca-3"],
    ["site-9", "site-10"],
    ["kubernetes", "kubernetes-2"],
    ["", "-2"],
  ] as const
) {
  test(`getNextName() counts: ${name}`, () => assert.equal(getNextName(name), want));
}

test("inheritProperties() keeps algorithm, organization, lifetime and constraints", async () => {
  const nameConstraints = { permitted: { ...NO_SUBTREES, dnsNames: ["example.org"] }, excluded: NO_SUBTREES };
  const authority = await createAuthority({
    commonName: "ca",
    organizations: ["Example"],
    notBefore: NOW,
    notAfter: hoursFromNow(5),
    nameConstraints,
    key: await generatePrivateKey("rsa-2048"),
    serial: Uint8Array.of(1),
  });
  assert.deepEqual(inheritProperties(authority), {
    commonName: "ca-2",
    organizations: ["Example"],
    keyAlgorithm: "rsa-2048",
    lifetimeMs: 5 * 3_600_000,
    nameConstraints,
  });
  assert.equal(inheritProperties(oldCa).nameConstraints, undefined);
});

const sameKey = await createAuthority({
  commonName: "other",
  notBefore: NOW,
  notAfter: hoursFromNow(48),
  key: oldCa.privateKey,
  serial: Uint8Array.of(1),
});
const limited = await createIntermediate(oldCa, "limited", { maxPathLength: 0 });

for (
  const { name, newer, older = oldCa, isLeaked = false, want } of [
    { name: "another CA that lasts longer", newer: newCa, want: undefined },
    { name: "the CA itself", newer: oldCa, want: /^it is the present CA$/ },
    { name: "the key of the old CA", newer: sameKey, want: /^it has the key of the present CA$/ },
    {
      name: "an earlier end",
      newer: await createTestAuthority("ecdsa-p256", { notAfter: hoursFromNow(23) }),
      want: /ends/,
    },
    { name: "the same end", newer: await createTestAuthority(), want: undefined },
    { name: "an old CA that must not have a CA below it", newer: newCa, older: limited, want: /path length 0/ },
    { name: "such a CA whose key has leaked", newer: newCa, older: limited, isLeaked: true, want: undefined },
  ]
) {
  test(`findBeginFault() checks the two CAs: ${name}`, () => {
    const fault = findBeginFault(newer, older, { isLeaked });
    if (want === undefined) assert.equal(fault, undefined);
    else assert.match(fault?.message ?? "", want);
  });
}

test("ExcludedCertificates finds the server and the nodes whose names a new CA does not permit", async () => {
  const nameConstraints = { permitted: { ...NO_SUBTREES, dnsNames: ["example.org"] }, excluded: NO_SUBTREES };
  const key = await generatePrivateKey("ecdsa-p256");
  const options = { commonName: "c", notBefore: NOW, notAfter: hoursFromNow(48), key, serial: Uint8Array.of(1) };
  const constrained = await createAuthority({ ...options, nameConstraints });
  const excluded = new ExcludedCertificates(constrained, oldCa, NOW);
  const own = { issuerFingerprint: oldCa.certificate.sha256Fingerprint, notAfter: "2027-01-01T00:00:00Z" };
  for (
    const record of createRecords([
      { ...own, subject: "O=system:nodes,CN=system:node:n1", dnsNames: ["n1.example.org"] },
      { ...own, subject: "O=system:nodes,CN=system:node:n2", dnsNames: ["n2.internal"] },
      { ...own, subject: "O=system:nodes,CN=system:node:n2" },
      { ...own, subject: "CN=tlsboot", source: "serving", dnsNames: ["boot.example.com"], ipAddresses: ["10.0.0.1"] },
      { ...own, subject: "CN=expired", dnsNames: ["expired.internal"], notAfter: "2026-01-02T00:00:00Z" },
      { subject: "CN=other", dnsNames: ["other.internal"], issuerFingerprint: "f".repeat(64) },
    ])
  ) excluded.add(record);
  assert.ok(excluded.isPossible);
  assert.deepEqual(excluded.list(), [
    {
      subject: "the server",
      isServer: true,
      fault: 'DNS name "boot.example.com" is not permitted by any constraint',
    },
    {
      subject: "O=system:nodes,CN=system:node:n2",
      isServer: false,
      fault: 'DNS name "n2.internal" is not permitted by any constraint',
    },
  ]);
  assert.equal(new ExcludedCertificates(newCa, oldCa, NOW).isPossible, false);
});

for (
  const { name, step, repeated = {}, renewFrom = null, want } of [
    { name: "no rotation", step: undefined, want: "begin" },
    { name: "a finished one", step: "Finish", want: "begin" },
    { name: "the same again", step: "Trust", want: "continue" },
    {
      name: "the same file",
      step: "Switch",
      repeated: { fingerprint: newCa.certificate.sha256Fingerprint },
      want: "continue",
    },
    { name: "another file", step: "Trust", repeated: { fingerprint: "00" }, want: /with another CA$/ },
    {
      name: "one that is aborted, when the key has leaked",
      step: "Trust",
      renewFrom: "2026-06-02T00:00:00Z",
      repeated: { isLeaked: true },
      want: "continue",
    },
    { name: "one that is aborted", step: "Trust", renewFrom: "2026-06-02T00:00:00Z", want: /being aborted$/ },
  ] as const
) {
  test(`decideBegin() continues a rotation or refuses a second one: ${name}`, () => {
    const existing: CaRotation | undefined = step === undefined ? undefined : {
      metadata: { name: "ca" },
      spec: { step, oldCA: oldCa.certificatePem, newCA: newCa.certificatePem, renewFrom },
      status: { beganAt: "2026-06-01T00:00:00Z" },
    };
    const asked = { fingerprint: undefined, isLeaked: false, ...repeated };
    const decision = decideBegin(existing, existing === undefined ? undefined : newCa.certificate, asked);
    if (typeof want === "string") assert.deepEqual(decision, { ok: true, value: want });
    else assert.match(decision.ok ? "" : decision.error, want);
  });
}

const random = createSeededRandom(1);
const tokenKey = (await generatePrivateKey("rsa-2048")).toPem();
const otherKey = (await generatePrivateKey("ecdsa-p256")).toPem();

test("a wrapped key in a Secret opens with the same token key, whatever its line endings", () => {
  const wrapped = wrapKey("the key\n", tokenKey, random);
  assert.ok(wrapped.ok);
  assert.ok(!Buffer.from(wrapped.value, "base64").includes("the key"));
  const found = findWrappedKey(createWrappedKeySecret("ca", wrapped.value));
  assert.equal(found, wrapped.value);
  assert.deepEqual(unwrapKey(wrapped.value, tokenKey.replaceAll("\n", "\r\n")), { ok: true, value: "the key\n" });
});

test("a wrapped key does not open with another token key, changed, or cut", () => {
  const wrapped = wrapKey("the key\n", tokenKey, random);
  assert.ok(wrapped.ok);
  const bytes = Buffer.from(wrapped.value, "base64");
  bytes[bytes.length - 1]! ^= 1;
  const why = { ok: false, error: "it was encrypted with another key of service account tokens, or it was changed" };
  assert.deepEqual(unwrapKey(wrapped.value, otherKey), why);
  assert.deepEqual(unwrapKey(bytes.toString("base64"), tokenKey), why);
  assert.deepEqual(unwrapKey(wrapped.value.slice(0, 40), tokenKey), { ok: false, error: "it is not a wrapped key" });
  assert.match(JSON.stringify(wrapKey("x", "no key", random)), /the key of service account tokens is not usable/);
});

const OPTIONS = { notBefore: NOW, serial: Uint8Array.of(7) };
const AT = { at: hoursFromNow(0.5) };

for (const commonName of ["kubernetes-2", "kubernetes"]) {
  for (const algorithm of ["ecdsa-p256", "rsa-2048", "ed25519"] as const) {
    test(`crossSign() lets the old root verify leaves of the new CA: ${commonName}, ${algorithm}`, async () => {
      const oldCa = await createTestAuthority();
      const newCa = await createTestAuthority(algorithm, { commonName, notAfter: hoursFromNow(48) });
      const cross = unwrap(await crossSign(newCa.certificate, oldCa, OPTIONS));
      const leaf = await issueTestCertificate(newCa, planTestLeaf(newCa.privateKey));
      assert.equal(unwrap(verifyChain(leaf, [cross], [oldCa.certificate], AT)).length, 3);
      assert.equal(unwrap(verifyChain(leaf, [cross], [newCa.certificate], AT)).length, 2);
      assert.equal(verifyChain(leaf, [], [oldCa.certificate], AT).ok, false);
      assert.deepEqual(cross.subject.raw, newCa.certificate.subject.raw);
      assert.deepEqual(cross.issuer.raw, oldCa.certificate.subject.raw);
      assert.equal(cross.subjectKeyId, newCa.certificate.subjectKeyId);
      assert.equal(cross.authorityKeyId, oldCa.certificate.subjectKeyId);
      assert.deepEqual(cross.keyUsages, newCa.certificate.keyUsages);
      assert.deepEqual(cross.notAfter, oldCa.certificate.notAfter);
    });
  }
}

test("crossSign() keeps the name constraints of the new CA, and the end of the earlier one", async () => {
  const oldCa = await createTestAuthority();
  const key = await generatePrivateKey("ecdsa-p256");
  const nameConstraints = { permitted: { ...NO_SUBTREES, dnsNames: ["example.org"] }, excluded: NO_SUBTREES };
  const newCa = await createAuthority({
    commonName: "new",
    notBefore: NOW,
    notAfter: hoursFromNow(2),
    nameConstraints,
    key,
    serial: Uint8Array.of(1),
  });
  const cross = unwrap(await crossSign(newCa.certificate, oldCa, OPTIONS));
  assert.deepEqual(cross.nameConstraints, nameConstraints);
  assert.deepEqual(cross.notAfter, hoursFromNow(2));
});

test("crossSign() adds no CRL URL, unlike other certificates of the old CA", async () => {
  const crlUrl = "http://ca.example/crl";
  const oldCa = { ...await createTestAuthority(), crlUrl };
  const newCa = await createTestAuthority("ecdsa-p256", { commonName: "new" });
  const names = ({ der }: CertificateFacts) => Buffer.from(der).includes(crlUrl);
  assert.equal(names(unwrap(await crossSign(newCa.certificate, oldCa, OPTIONS))), false);
  assert.equal(names(await issueTestCertificate(oldCa, planTestLeaf(newCa.privateKey))), true);
});

for (
  const { old, fresh, want } of [
    { old: undefined, fresh: undefined, want: undefined },
    { old: 1, fresh: undefined, want: 0 },
    { old: undefined, fresh: 0, want: 0 },
    { old: 3, fresh: 1, want: 1 },
    { old: 2, fresh: 5, want: 1 },
  ]
) {
  test(`crossSign() limits the path length: old ${old}, new ${fresh}`, async () => {
    const root = await createTestAuthority();
    const limit = (maxPathLength: number | undefined) => (maxPathLength === undefined ? {} : { maxPathLength });
    const oldCa = await createIntermediate(root, "old", limit(old));
    const newCa = await createIntermediate(await createTestAuthority(), "new", limit(fresh));
    const cross = unwrap(await crossSign(newCa.certificate, oldCa, OPTIONS));
    assert.equal(cross.maxPathLength, want);
    const leaf = await issueTestCertificate(newCa, planTestLeaf(newCa.privateKey));
    assert.equal(unwrap(verifyChain(leaf, [cross, oldCa.certificate], [root.certificate], AT)).length, 4);
  });
}

test("crossSign() keeps a key identifier of the new CA that was computed differently, and omits unknown usages", async () => {
  const newCa = { ...(await createTestAuthority()).certificate, subjectKeyId: "0102", extendedKeyUsages: ["1.2.3"] };
  const cross = unwrap(await crossSign(newCa, await createTestAuthority(), OPTIONS));
  assert.deepEqual([cross.subjectKeyId, cross.extendedKeyUsages], ["0102", []]);
});

test("findCrossSignFault() requires a difference between two CAs with the same name", async () => {
  const { subjectKeyId: _, ...bare } = (await createTestAuthority()).certificate;
  const other = await createTestAuthority("ecdsa-p256", { commonName: "other" });
  assert.match(findCrossSignFault(bare, bare) ?? "", /^both CAs have the same name/);
  assert.equal(findCrossSignFault(other.certificate, bare), undefined);
});

test("crossSign() refuses an old CA that must not have a CA below it", async () => {
  const oldCa = await createIntermediate(await createTestAuthority(), "old", { maxPathLength: 0 });
  const newCa = await createTestAuthority();
  const cross = await crossSign(newCa.certificate, oldCa, OPTIONS);
  assert.match(cross.ok ? "" : cross.error, /path length 0/);
});
