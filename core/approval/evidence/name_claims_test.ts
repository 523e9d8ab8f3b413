import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions } from "../../../tests/support/csr_builder.ts";
import { parseRequest } from "../../request/parse_request.ts";
import type { IssuedCertificate } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import { evaluatePolicy, type PolicyVerdict } from "../rules/evaluate_policies.ts";
import { findForeignClaim, listRecordedClaims, listRequestClaims } from "./name_claims.ts";
import { computeKeyFingerprint } from "./node_claims.ts";
import type { NameClaim, OwnershipEvidence } from "./ownership.ts";
import { createWebPolicy } from "../rules/web_certificates.ts";

const NOW = new Date("2026-03-02T10:30:00Z");
const POLICY = createWebPolicy({ domains: ["home.lan"], networks: ["192.168.1.0/24"] });

/** The first request of a web server, by a token. */
const IDENTITY: CsrOptions = {
  signerName: "kubernetes.io/kube-apiserver-client",
  username: "system:bootstrap:abcdef",
  groups: ["system:bootstrappers", "system:bootstrappers:tlsboot:web"],
  commonName: "tlsboot:web:nas.home.lan",
  organizations: ["tlsboot:web"],
  dnsNames: ["nas.home.lan"],
  usages: ["digital signature", "client auth"],
};
/** The renewal of an identity. */
const RENEWAL: CsrOptions = { ...IDENTITY, username: "tlsboot:web:nas.home.lan", groups: ["tlsboot:web"] };
/** The request of an identity for its certificate. */
const SERVING: CsrOptions = {
  ...RENEWAL,
  signerName: "tlsboot.local/web",
  commonName: "nas.home.lan",
  organizations: [],
  usages: ["digital signature", "server auth"],
};

const OTHER: NameClaim = {
  name: "nas.home.lan",
  holder: "tlsboot:web:other.home.lan",
  publicKeyFingerprint: "another key",
  notAfter: new Date("2026-04-01T00:00:00Z"),
};

async function decide(
  options: CsrOptions,
  claims: readonly NameClaim[] | "own key" | null = [],
  evidence: Partial<OwnershipEvidence> = {},
): Promise<PolicyVerdict> {
  const csr = await buildCsr(options);
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  const own = { ...OTHER, publicKeyFingerprint: computeKeyFingerprint(request.value) };
  const known = claims === "own key" ? [own] : claims;
  return evaluatePolicy(POLICY, {
    csr,
    request: request.value,
    now: NOW,
    evidence: {
      inventory: undefined,
      held: { kind: "none" },
      reported: { kind: "none" },
      certificates: { kind: "none" },
      server: { dns: ["boot.home.lan"], ips: ["192.168.1.2"] },
      ...(known === null ? {} : { claims: { kind: "found", value: known } }),
      ...evidence,
    },
    permissions: new Map(),
    approvedBefore: [],
  });
}

for (
  const { name, csr, claims, evidence, want, message } of [
    { name: "an identity for a free name", csr: IDENTITY, want: "approve" },
    { name: "its renewal", csr: RENEWAL, claims: [{ ...OTHER, holder: "tlsboot:web:nas.home.lan" }], want: "approve" },
    { name: "its certificate", csr: { ...SERVING, ipAddresses: ["192.168.1.9"] }, want: "approve" },
    {
      name: "a certificate for a deeper name",
      csr: { ...SERVING, dnsNames: ["nas.home.lan", "a.b.home.lan"] },
      want: "approve",
    },
    {
      name: "a name of another machine",
      csr: IDENTITY,
      claims: [OTHER],
      want: "pending",
      message: /belongs to another machine: tlsboot:web:other\.home\.lan holds it until 2026-04-01T00:00:00Z/,
    },
    {
      name: "a name that the same token got for another machine",
      csr: IDENTITY,
      claims: [{ ...OTHER, holder: "system:bootstrap:abcdef" }],
      want: "pending",
      message: /belongs to another machine/,
    },
    {
      name: "a name whose certificate has expired",
      csr: IDENTITY,
      claims: [{ ...OTHER, notAfter: NOW }],
      want: "approve",
    },
    { name: "a request that is repeated with the same key", csr: IDENTITY, claims: "own key", want: "approve" },
    {
      name: "a certificate with another machine's address",
      csr: { ...SERVING, ipAddresses: ["192.168.1.9"] },
      claims: [{ ...OTHER, name: "192.168.1.9", notAfter: undefined }],
      want: "pending",
      message: /192\.168\.1\.9 belongs to another machine: \S+ holds it by an approved request/,
    },
    {
      name: "the API server's address",
      csr: { ...SERVING, ipAddresses: ["192.168.1.2"] },
      want: "pending",
      message: /API server/,
    },
    {
      name: "the API server's name",
      csr: { ...IDENTITY, commonName: "tlsboot:web:boot.home.lan", dnsNames: ["boot.home.lan"] },
      want: "pending",
      message: /API server/,
    },
    { name: "an empty register", csr: IDENTITY, evidence: { claims: { kind: "none" } }, want: "approve" },
    { name: "no register", csr: IDENTITY, claims: null, want: "pending", message: /no register/ },
    {
      name: "a register that cannot be read",
      csr: IDENTITY,
      evidence: { claims: { kind: "failed", message: "no answer" } },
      want: "unknown",
      message: /no answer/,
    },
    {
      name: "another domain",
      csr: { ...IDENTITY, commonName: "tlsboot:web:a.b", dnsNames: ["a.b"] },
      want: "deny",
      message: /"a.b"/,
    },
    {
      name: "a wildcard",
      csr: { ...SERVING, dnsNames: ["nas.home.lan", "*.home.lan"] },
      want: "deny",
      message: /\*\.home\.lan/,
    },
    {
      name: "two stars",
      csr: { ...SERVING, dnsNames: ["nas.home.lan", "**.home.lan"] },
      want: "deny",
      message: /not allowed/,
    },
    {
      name: "a subject of another name",
      csr: { ...IDENTITY, commonName: "tlsboot:web:x.home.lan" },
      want: "deny",
      message: /common name/,
    },
    {
      name: "one more group",
      csr: { ...IDENTITY, organizations: ["tlsboot:web", "admins"] },
      want: "deny",
      message: /admins/,
    },
    {
      name: "the identity of another web server",
      csr: { ...RENEWAL, username: "tlsboot:web:x.home.lan" },
      want: "pending",
      message: /common name/,
    },
    {
      name: "a serving identity",
      csr: { ...IDENTITY, usages: ["client auth", "server auth"] },
      want: "deny",
      message: /server auth/,
    },
    {
      name: "the token of a machine",
      csr: { ...IDENTITY, groups: ["system:bootstrappers:tlsboot"] },
      want: "pending",
      message: /no rule/,
    },
  ] as readonly {
    readonly name: string;
    readonly csr: CsrOptions;
    readonly claims?: readonly NameClaim[] | "own key" | null;
    readonly evidence?: Partial<OwnershipEvidence>;
    readonly want: PolicyVerdict["kind"];
    readonly message?: RegExp;
  }[]
) {
  test(`the policy of web servers, and ${name}: ${want}`, async () => {
    const verdict = await decide(csr, claims === undefined ? [] : claims, evidence);
    assert.equal(verdict.kind, want, verdict.message);
    assert.match(verdict.message, message ?? /./);
  });
}

function withTimes<T>(condition: T): T & { readonly lastUpdateTime: null; readonly lastTransitionTime: null } {
  return { ...condition, lastUpdateTime: null, lastTransitionTime: null };
}

const RECORD: IssuedCertificate = {
  metadata: { name: "0000000001" },
  spec: {
    sequence: 1,
    subject: "CN=nas.home.lan",
    dnsNames: ["NAS.home.lan"],
    ipAddresses: ["2001:DB8::1"],
    usages: ["server auth"],
    publicKeyFingerprint: "key",
    notBefore: null,
    notAfter: "2026-04-01T00:00:00Z",
    issuedAt: null,
    requester: { username: "tlsboot:web:nas.home.lan" },
  },
  status: {},
};

test("listRecordedClaims() names the requester, or the user whom a client certificate identifies", () => {
  const [name, address] = listRecordedClaims(RECORD);
  assert.deepEqual([name?.name, address?.name], ["nas.home.lan", "2001:db8::1"]);
  assert.equal(name?.holder, "tlsboot:web:nas.home.lan");
  assert.deepEqual(name?.notAfter, new Date("2026-04-01T00:00:00Z"));
  assert.equal(listRecordedClaims({ ...RECORD, spec: { ...RECORD.spec, notAfter: null } })[0]?.notAfter, undefined);
  const subject = "O=tlsboot:web,CN=tlsboot:web:nas.home.lan";
  const requester = { username: "system:bootstrap:abcdef" };
  const identity = { ...RECORD, spec: { ...RECORD.spec, subject, requester, usages: ["client auth"] } };
  assert.equal(listRecordedClaims(identity)[0]?.holder, "tlsboot:web:nas.home.lan");
});

test("listRecordedClaims() lets no user have the names of a client certificate of an unknown user", async () => {
  const spec = { ...RECORD.spec, subject: "nas", requester: { username: "alice" }, usages: ["client auth"] };
  const [claim] = listRecordedClaims({ ...RECORD, spec });
  assert.equal(claim?.holder, undefined);
  for (const username of ["alice", "nas", ""]) {
    const csr = await buildCsr({ ...SERVING, username });
    const request = parseRequest(csr.spec.request);
    assert.ok(request.ok);
    assert.equal(findForeignClaim([claim!], { csr, request: request.value, now: NOW }), claim);
  }
});

test("listRecordedClaims() claims nothing for a certificate that is revoked, or for a CA", () => {
  const revocation = { name: "r", reason: "keyCompromise", time: null };
  assert.deepEqual(listRecordedClaims({ ...RECORD, status: { revocation } }), []);
  assert.deepEqual(listRecordedClaims({ ...RECORD, spec: { ...RECORD.spec, isCA: true } }), []);
});

test("listRequestClaims() claims for a request that is approved and not signed yet", async () => {
  const csr = await buildCsr(SERVING);
  assert.deepEqual(listRequestClaims(csr), []);
  const approved = { ...csr, status: { conditions: [withTimes({ type: "Approved", status: "True" })] } };
  assert.equal(listRequestClaims(approved)[0]?.holder, "tlsboot:web:nas.home.lan");
  const identity = await buildCsr(IDENTITY);
  assert.equal(listRequestClaims({ ...identity, status: approved.status })[0]?.holder, "tlsboot:web:nas.home.lan");
  assert.deepEqual(listRequestClaims({ ...approved, spec: { ...csr.spec, request: null } }), []);
  assert.deepEqual(
    listRequestClaims({ ...approved, status: { ...approved.status, certificate: "eA==" } }),
    [],
  );
});
