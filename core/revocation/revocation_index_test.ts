import assert from "node:assert/strict";
import { test } from "node:test";
import { createTokenSecret, parseBootstrapToken } from "../token/token_secret.ts";
import { encodeTokenLimits } from "../token/bound_token.ts";
import type { NodeName } from "../machine/node_name.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import type {
  IssuedCertificate,
  IssuedCertificateSpec,
  Revocation,
  RevocationSpec,
} from "../kube/kinds/tlsboot_v1alpha1.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import {
  findCertificateFingerprint,
  readRevocableRequest,
  RecordedCertificates,
  type RevocableRequest,
  RevocationIndex,
  toRecordedRevocation,
} from "./revocation_index.ts";
import { findRevocationTarget, toRevocationName } from "./revocation.ts";

const TIME = "2026-11-28T02:00:00Z";
const BEFORE = new Date("2026-11-28T01:00:00Z");
const AFTER = new Date("2026-11-28T03:00:00Z");
const NODE_N1 = { username: "system:node:n1", groups: ["system:nodes"] };

function revoke(spec: Partial<RevocationSpec>, lastSequence = 10): Revocation {
  const full = { reason: "keyCompromise", ...spec };
  const target = findRevocationTarget(full);
  assert.ok(target);
  return {
    metadata: { name: toRevocationName(target) },
    spec: full,
    status: { revokedBy: "root", time: TIME, lastSequence },
  };
}

/** The records of a test by sequence number; the fingerprint of number 7 is `f7`, its serial number `07`. */
function record(sequence: number, edit: Partial<IssuedCertificateSpec> = {}): IssuedCertificate {
  const name = String(sequence).padStart(10, "0");
  return {
    metadata: { name },
    spec: {
      sequence,
      serialNumber: String(sequence).padStart(2, "0"),
      fingerprint: `f${sequence}`,
      subject: "CN=system:node:n1,O=system:nodes",
      notBefore: BEFORE.toISOString(),
      notAfter: null,
      issuedAt: null,
      ...edit,
    },
    status: {},
  };
}

/** The renewal of number `of` by the certificate itself. */
function renewal(sequence: number, of: number, edit: Partial<IssuedCertificateSpec> = {}): IssuedCertificate {
  const requester = { username: "system:node:n1", certificateFingerprint: `f${of}` };
  return record(sequence, { requester, ...edit });
}

const fromToken = (id: string) => ({ requester: { username: `system:bootstrap:${id}`, tokenID: id } });

const RECORDS: readonly IssuedCertificate[] = [
  record(5, fromToken("oldold")),
  renewal(6, 5),
  record(7, { subject: "CN=alice,O=devs", requester: { username: "root" } }),
  // Issued after the revocation, but to the revoked machine: a renewal that was on its way.
  renewal(11, 6),
  record(12, fromToken("newnew")),
  renewal(13, 12),
  record(14, {
    subject: "CN=system:node:n1,O=system:nodes",
    requester: { username: "system:node:n1" },
    replaces: "0000000013",
  }),
  record(15, { subject: "CN=kube-apiserver", source: "serving" }),
  record(16, { subject: "CN=tlsboot-ca", isCA: true }),
];

function createIndex(...revocations: readonly Revocation[]): RevocationIndex {
  const records = new RecordedCertificates();
  for (const one of RECORDS) records.put(one);
  const index = new RevocationIndex(records.findByFingerprint);
  index.replace(revocations);
  return index;
}

const presented = (sequence: number, notBefore = BEFORE) => ({
  serialNumber: String(sequence).padStart(2, "0"),
  fingerprint: `f${sequence}`,
  notBefore,
});
const alice = { username: "alice", groups: ["devs", "system:authenticated"] };
const token = (id: string) => ({ username: `system:bootstrap:${id}`, groups: ["system:bootstrappers"] });

for (
  const { name, spec, user, certificate, want } of [
    { name: "its serial number", spec: { serialNumber: "07" }, user: alice, certificate: presented(7), want: true },
    {
      name: "another serial number",
      spec: { serialNumber: "08" },
      user: alice,
      certificate: presented(7),
      want: false,
    },
    { name: "a serial number, without a certificate", spec: { serialNumber: "07" }, user: alice, want: false },
    { name: "its user", spec: { user: "alice" }, user: alice, certificate: presented(7), want: true },
    { name: "its user, without a certificate", spec: { user: "alice" }, user: alice, want: true },
    {
      name: "its user, with a newer certificate",
      spec: { user: "alice" },
      user: alice,
      certificate: presented(99, AFTER),
      want: true,
    },
    { name: "another user", spec: { user: "bob" }, user: alice, want: false },
    { name: "a group of its user", spec: { group: "devs" }, user: alice, certificate: presented(7), want: true },
    { name: "another group", spec: { group: "ops" }, user: alice, want: false },
    { name: "its token", spec: { token: "abcdef" }, user: token("abcdef"), want: true },
    { name: "another token", spec: { token: "abcdef" }, user: token("bcdefg"), want: false },
    {
      name: "the token behind its certificate",
      spec: { token: "oldold" },
      user: NODE_N1,
      certificate: presented(5),
      want: false,
    },
    {
      name: "the token behind its certificate, including certificates",
      spec: { token: "oldold", includeCertificates: true },
      user: NODE_N1,
      certificate: presented(5),
      want: true,
    },
    {
      name: "the token of a certificate that it renews",
      spec: { token: "oldold", includeCertificates: true },
      user: NODE_N1,
      certificate: presented(11),
      want: true,
    },
    {
      name: "another token, including certificates",
      spec: { token: "oldold", includeCertificates: true },
      user: NODE_N1,
      certificate: presented(13),
      want: false,
    },
    { name: "its node", spec: { node: "n1" }, user: NODE_N1, certificate: presented(6), want: true },
    { name: "its node, a late renewal", spec: { node: "n1" }, user: NODE_N1, certificate: presented(11), want: true },
    { name: "its node, the replacement", spec: { node: "n1" }, user: NODE_N1, certificate: presented(12), want: false },
    { name: "its node, renewed", spec: { node: "n1" }, user: NODE_N1, certificate: presented(13), want: false },
    { name: "its node, renewed by name", spec: { node: "n1" }, user: NODE_N1, certificate: presented(14), want: false },
    {
      name: "its node, unrecorded and old",
      spec: { node: "n1" },
      user: NODE_N1,
      certificate: presented(99),
      want: true,
    },
    {
      name: "its node, unrecorded and new",
      spec: { node: "n1" },
      user: NODE_N1,
      certificate: presented(99, AFTER),
      want: false,
    },
    { name: "its node, without a certificate", spec: { node: "n1" }, user: NODE_N1, want: true },
    { name: "another node", spec: { node: "n2" }, user: NODE_N1, certificate: presented(6), want: false },
    {
      name: "its node, unrecorded, issued at the same time",
      spec: { node: "n1" },
      user: NODE_N1,
      certificate: presented(99, new Date(TIME)),
      want: true,
    },
    {
      name: "a serial number that the register does not know",
      spec: { serialNumber: "99" },
      user: alice,
      certificate: presented(99),
      want: true,
    },
    {
      name: "a user whose name ends like a node's",
      spec: { node: "n1" },
      user: { username: "system-node:n1", groups: [] },
      want: false,
    },
    {
      name: "a group that the user does not have",
      spec: { group: "devs" },
      user: { ...alice, groups: ["ops"] },
      want: false,
    },
    { name: "its second group", spec: { group: "devs" }, user: { ...alice, groups: ["ops", "devs"] }, want: true },
  ]
) {
  test(`RevocationIndex.findForCredential() ${want ? "finds" : "does not find"} ${name}`, () => {
    const match = createIndex(revoke(spec)).findForCredential(user, certificate);
    assert.equal(match !== undefined, want);
    if (match !== undefined) assert.match(match.message, /is revoked since 2026-11-28T02:00:00Z \(keyCompromise\)/);
  });
}

function tokenSecret(id: string, createdAt: Date, node?: string): SecretObject {
  const parsed = parseBootstrapToken(`${id}.0123456789abcdef`);
  assert.ok(parsed.ok);
  const secret = createTokenSecret({ token: parsed.value, usages: ["authentication"], groups: [], description: "" });
  const limits = node === undefined
    ? {}
    : encodeTokenLimits({ node: node as NodeName, networks: [], isApproval: false });
  return {
    ...secret,
    metadata: { ...secret.metadata, annotations: { ...limits, "tlsboot/created-at": createdAt.toISOString() } },
  };
}

const NONE = { certificateFingerprint: undefined, tokenSecret: undefined };
const byCertificate = (sequence: number) => ({ ...NONE, certificateFingerprint: `f${sequence}` });
const byToken = (id: string, at: Date, node?: string) => ({
  requester: token(id),
  ...NONE,
  tokenSecret: tokenSecret(id, at, node),
});

for (
  const { name, spec, request, want } of [
    {
      name: "a renewal of a revoked node",
      spec: { node: "n1" },
      request: { subject: NODE_N1, requester: NODE_N1, ...byCertificate(6) },
      want: /^the requester: node "n1" is revoked/,
    },
    {
      name: "a renewal of the replacement",
      spec: { node: "n1" },
      request: { subject: NODE_N1, requester: NODE_N1, ...byCertificate(13) },
    },
    {
      name: "a request of a revoked node for another subject",
      spec: { node: "n1" },
      request: { subject: { username: "web", groups: [] }, requester: NODE_N1, ...byCertificate(6) },
      want: /^the requester/,
    },
    {
      name: "a request of a revoked node without a known certificate",
      spec: { node: "n1" },
      request: { subject: NODE_N1, requester: NODE_N1, ...NONE },
      want: /^the requester/,
    },
    {
      name: "a token for any node",
      spec: { node: "n1" },
      request: { subject: NODE_N1, ...byToken("bcdefg", AFTER) },
      want: /^the requested subject: .*; a replacement needs a token .*tlsboot token create --node n1$/,
    },
    {
      name: "an older token for the node",
      spec: { node: "n1" },
      request: { subject: NODE_N1, ...byToken("bcdefg", BEFORE, "n1") },
      want: /^the requested subject/,
    },
    {
      name: "a newer token for the node",
      spec: { node: "n1" },
      request: { subject: NODE_N1, ...byToken("bcdefg", AFTER, "n1") },
    },
    {
      name: "a newer token for another node",
      spec: { node: "n1" },
      request: { subject: NODE_N1, ...byToken("bcdefg", AFTER, "n2") },
      want: /^the requested subject/,
    },
    {
      name: "a token that is gone",
      spec: { node: "n1" },
      request: { subject: NODE_N1, requester: token("bcdefg"), ...NONE },
      want: /^the requested subject/,
    },
    {
      name: "an administrator for a revoked node",
      spec: { node: "n1" },
      request: { subject: NODE_N1, requester: alice, ...byCertificate(7) },
      want: /^the requested subject/,
    },
    {
      name: "a token for another node",
      spec: { node: "n1" },
      request: { subject: { ...NODE_N1, username: "system:node:n2" }, ...byToken("bcdefg", BEFORE) },
    },
    {
      name: "another user, with a certificate of the replacement",
      spec: { node: "n1" },
      request: { subject: NODE_N1, requester: alice, ...byCertificate(13) },
      want: /^the requested subject/,
    },
    {
      name: "a revoked token",
      spec: { token: "bcdefg" },
      request: { subject: NODE_N1, ...byToken("bcdefg", AFTER) },
      want: /^the requester: token "bcdefg"/,
    },
    {
      name: "a revoked requester",
      spec: { user: "alice" },
      request: { subject: NODE_N1, requester: alice, ...byCertificate(7) },
      want: /^the requester: user "alice"/,
    },
    {
      name: "a revoked subject",
      spec: { user: "alice" },
      request: { subject: alice, requester: { username: "bob", groups: [] }, ...NONE },
      want: /^the requested subject: user "alice"/,
    },
    {
      name: "a revoked group of the subject",
      spec: { group: "devs" },
      request: { subject: alice, requester: { username: "bob", groups: [] }, ...NONE },
      want: /^the requested subject: group "devs"/,
    },
    {
      name: "a request with a revoked certificate",
      spec: { serialNumber: "07" },
      request: { subject: { username: "web", groups: [] }, requester: alice, ...byCertificate(7) },
      want: /^the requester: certificate "07"/,
    },
    {
      name: "a request of a certificate that a revoked token requested",
      spec: { token: "oldold", includeCertificates: true },
      request: { subject: NODE_N1, requester: NODE_N1, ...byCertificate(6) },
      want: /^the requester: token "oldold"/,
    },
    {
      name: "an unrelated request",
      spec: { user: "bob" },
      request: { subject: alice, requester: alice, ...byCertificate(7) },
    },
  ] satisfies readonly { name: string; spec: Partial<RevocationSpec>; request: RevocableRequest; want?: RegExp }[]
) {
  test(`RevocationIndex.findForRequest() ${want === undefined ? "permits" : "refuses"} ${name}`, () => {
    const match = createIndex(revoke(spec)).findForRequest(request);
    if (want === undefined) assert.equal(match?.message, undefined);
    else assert.match(match?.message ?? "", want);
  });
}

test("RevocationIndex.findForRequest() without the register leaves certificates and tokens of a node to the server", () => {
  const index = new RevocationIndex();
  index.put(revoke({ node: "n1" }));
  const ask = (request: RevocableRequest) => index.findForRequest(request) !== undefined;
  assert.equal(ask({ subject: NODE_N1, requester: NODE_N1, ...byCertificate(6) }), false);
  assert.equal(ask({ subject: NODE_N1, requester: token("bcdefg"), ...NONE }), false);
  assert.equal(ask({ subject: NODE_N1, requester: alice, ...NONE }), true);
  assert.equal(ask({ subject: NODE_N1, requester: NODE_N1, ...NONE }), true);
});

for (
  const { name, spec, sequence, want } of [
    { name: "the certificates of a user", spec: { user: "alice" }, sequence: 7, want: true },
    { name: "the certificates of a node", spec: { node: "n1" }, sequence: 6, want: true },
    { name: "the replacement", spec: { node: "n1" }, sequence: 12, want: false },
    { name: "a serial number", spec: { serialNumber: "07" }, sequence: 7, want: true },
    { name: "the serving certificate", spec: { user: "kube-apiserver" }, sequence: 15, want: false },
    { name: "a CA", spec: { user: "tlsboot-ca" }, sequence: 16, want: false },
  ]
) {
  test(`RevocationIndex.findForRecord() ${want ? "covers" : "does not cover"} ${name}`, () => {
    const found = createIndex(revoke(spec)).findForRecord(RECORDS.find((one) => one.spec.sequence === sequence)!);
    assert.equal(found !== undefined, want);
  });
}

test("RevocationIndex.findForRecord() covers no record without a fingerprint, and reads one without times", () => {
  const index = createIndex(revoke({ user: "alice" }), revoke({ serialNumber: "aa" }), revoke({ node: "n1" }));
  const old = record(90, { serialNumber: "aa", fingerprint: "", subject: "CN=alice" });
  assert.equal(index.findForRecord(old), undefined);
  const unknown = record(91, { serialNumber: "aa", subject: "CN=a,CN=b", notBefore: null });
  assert.equal(index.findForRecord(unknown)?.spec.serialNumber, "aa");
  assert.equal(index.findForRecord(record(92, { notBefore: null }))?.spec.node, "n1");
});

test("RevocationIndex uses the creation time of a Revocation without a time", () => {
  const { status: _status, ...revocation } = revoke({ node: "n1" });
  const created = (creationTimestamp?: string) => {
    const metadata = { ...revocation.metadata, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) };
    return createIndex({ ...revocation, metadata, status: { time: null } });
  };
  const covers = (index: RevocationIndex, sequence: number, at: Date) =>
    index.findForCredential(NODE_N1, presented(sequence, at)) !== undefined;
  assert.equal(covers(created(TIME), 99, BEFORE), true);
  assert.equal(covers(created(TIME), 99, AFTER), false);
  // Without any time and sequence number it precedes every certificate.
  assert.equal(covers(created(), 99, BEFORE), false);
  assert.equal(covers(created(TIME), 5, BEFORE), false);
});

test("RevocationIndex counts a certificate with the sequence number of the revocation as older", () => {
  const revocation = revoke({ node: "n1" }, 12);
  assert.ok(createIndex(revocation).findForCredential(NODE_N1, presented(12)) !== undefined);
});

test("RevocationIndex forgets the earlier target of a Revocation with the same name", () => {
  const index = createIndex(revoke({ user: "alice" }));
  index.put({ ...revoke({ user: "bob" }), metadata: { name: "user:alice" } });
  assert.equal(index.findForCredential(alice), undefined);
  assert.equal(index.get("user:alice")?.spec.user, "bob");
  index.put({ metadata: { name: "user:alice" }, spec: { reason: "unspecified" }, status: { time: null } });
  assert.equal(index.get("user:alice"), undefined);
});

test("RevocationIndex keeps a token revoked when the Revocation of a node with the same name is deleted", () => {
  const index = createIndex(revoke({ token: "oldold", includeCertificates: true }), revoke({ node: "oldold" }));
  index.delete("node:oldold");
  assert.ok(index.findForCredential(NODE_N1, presented(5)) !== undefined);
  index.delete("token:oldold");
  index.put(revoke({ token: "oldold" }));
  assert.equal(index.findForCredential(NODE_N1, presented(5)), undefined);
});

test("readRevocableRequest() reads the subject, the requester and the certificate of the requester", async () => {
  const csr = await buildCsr({
    commonName: "alice",
    organizations: ["devs"],
    username: "root",
    groups: ["g"],
  });
  const extra = { "authentication.kubernetes.io/credential-id": ["X509SHA256=f7"] };
  assert.deepEqual(readRevocableRequest({ ...csr, spec: { ...csr.spec, extra } }), {
    subject: { username: "alice", groups: ["devs"] },
    requester: { username: "root", groups: ["g"] },
    certificateFingerprint: "f7",
  });
  const none = { username: "", groups: [] };
  assert.deepEqual(readRevocableRequest({ ...csr, spec: { request: "AA==", signerName: "s", usages: [] } }), {
    subject: none,
    requester: none,
    certificateFingerprint: undefined,
  });
  const byToken = { "authentication.kubernetes.io/credential-id": ["JTI=abc"] };
  assert.equal(findCertificateFingerprint(byToken), undefined);
});

test("RevocationIndex forgets a Revocation that is deleted or replaced", () => {
  const index = createIndex(revoke({ user: "alice" }), revoke({ token: "oldold", includeCertificates: true }));
  assert.deepEqual(index.count(), { serial: 0, node: 0, user: 1, group: 0, token: 1 });
  index.delete("user:alice");
  index.delete("token:oldold");
  assert.equal(index.findForCredential(alice), undefined);
  assert.equal(index.findForCredential(NODE_N1, presented(5)), undefined);
  index.put(revoke({ user: "alice" }));
  index.replace([revoke({ user: "bob" })]);
  assert.equal(index.size, 1);
  assert.equal(index.findForCredential(alice), undefined);
});

test("RevocationIndex ignores a Revocation with no target, or with two", () => {
  const index = new RevocationIndex();
  index.put({ metadata: { name: "x" }, spec: { reason: "unspecified" }, status: { time: null } });
  index.put({ metadata: { name: "y" }, spec: { user: "a", node: "b", reason: "unspecified" }, status: { time: null } });
  assert.equal(index.size, 0);
});

test("RecordedCertificates reads subjects, and forgets removed records", () => {
  const records = new RecordedCertificates();
  for (const one of RECORDS) records.put(one);
  assert.equal(records.lastSequence, 16);
  assert.equal(records.findBySerialNumber("15")?.origin, "serving");
  assert.equal(records.findBySerialNumber("16")?.origin, "ca");
  assert.equal(records.findBySerialNumber("07")?.origin, "other");
  assert.equal(records.hasToken("oldold"), true);
  for (const sequence of [5, 6, 11]) records.remove(String(sequence).padStart(10, "0"));
  assert.equal(records.hasToken("oldold"), false);
  assert.equal(records.findByFingerprint("f5"), undefined);
  assert.equal(records.findBySerialNumber("05"), undefined);
  assert.equal(records.findByFingerprint("f13")?.firstSequence, 12);
  assert.equal(records.lastSequence, 16);
});

test("RecordedCertificates reads each record once, and counts the marks of revoked ones", () => {
  const records = new RecordedCertificates();
  const marked = (one: IssuedCertificate) => ({
    ...one,
    status: { revocation: toRecordedRevocation(revoke({ user: "u" })) },
  });
  const [first, second] = [record(1, fromToken("oldold")), record(2)];
  records.put(first);
  records.put(marked(first));
  records.put(marked(second));
  assert.deepEqual([records.size, records.markedCount], [2, 2]);
  records.put(second);
  assert.deepEqual([records.size, records.markedCount], [2, 1]);
  records.remove("0000000001");
  assert.deepEqual([records.size, records.markedCount, records.hasToken("oldold")], [1, 0, false]);
  records.put(first);
  assert.equal(records.hasToken("oldold"), true);
  records.remove("unknown");
  assert.equal(records.size, 2);
  records.put(marked(second));
  assert.equal(records.markedCount, 1);
  records.clear();
  assert.deepEqual([records.size, records.markedCount, records.lastSequence], [0, 0, 0]);
  assert.equal(records.hasToken("oldold"), false);
  assert.equal(records.findBySerialNumber("01"), undefined);
  records.put(first);
  assert.equal(records.size, 1);
});

test("RecordedCertificates omits records that have no fingerprint or were removed, but counts their numbers", () => {
  const records = new RecordedCertificates();
  records.put(record(1, { fingerprint: "" }));
  records.put(record(2, { removed: { from: 1, hash: "", time: TIME } }));
  records.put(record(3, { serialNumber: "" }));
  assert.deepEqual([records.size, records.lastSequence], [1, 3]);
  assert.equal(records.findBySerialNumber(""), undefined);
});

test("RecordedCertificates keeps the newer of two certificates with one serial number", () => {
  const records = new RecordedCertificates();
  records.put(record(1, { serialNumber: "aa" }));
  records.put(record(2, { serialNumber: "aa" }));
  records.remove("0000000001");
  assert.equal(records.findBySerialNumber("aa")?.sequence, 2);
});

test("RecordedCertificates follows a renewal by the name of what it replaces, and finds a token by its user", () => {
  const records = new RecordedCertificates();
  records.put(record(1, { requester: { username: "system:bootstrap:oldold" } }));
  records.put(record(2, { requester: { username: "system:node:n1" }, replaces: "0000000001" }));
  records.put(record(3, { requester: {}, replaces: "0000000001" }));
  assert.equal(records.findByFingerprint("f1")?.tokenID, "oldold");
  assert.equal(records.findByFingerprint("f2")?.tokenID, "oldold");
  assert.equal(records.findByFingerprint("f3")?.tokenID, undefined);
});

test("RecordedCertificates: the subject may have attributes without a name", () => {
  const records = new RecordedCertificates();
  const subject = "CN=system:node:n1,O=a\\,1.2=b,1.3.6.1.4.1.57683.2=u1";
  records.put(record(1, { ...fromToken("oldold"), subject }));
  records.put(renewal(2, 1, { subject }));
  assert.equal(records.findByFingerprint("f2")?.tokenID, "oldold");
});

test("RecordedCertificates: a certificate of an unknown user, requested with another, counts as its renewal", () => {
  const records = new RecordedCertificates();
  records.put(record(1, fromToken("oldold")));
  records.put(renewal(2, 1, { subject: "CN=a,CN=b" }));
  records.put(renewal(3, 1, { subject: "CN=other" }));
  assert.equal(records.findByFingerprint("f2")?.firstSequence, 1);
  assert.equal(records.findByFingerprint("f3")?.firstSequence, 3);
});

test("toRecordedRevocation() copies what the record shows", () => {
  assert.deepEqual(toRecordedRevocation(revoke({ user: "alice", message: "stolen" })), {
    name: "user:alice",
    reason: "keyCompromise",
    message: "stolen",
    revokedBy: "root",
    time: TIME,
  });
  const bare = { ...revoke({ user: "alice" }), status: { time: TIME } };
  assert.deepEqual(toRecordedRevocation(bare), { name: "user:alice", reason: "keyCompromise", time: TIME });
});
