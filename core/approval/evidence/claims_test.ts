import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions, sharedKey } from "../../../tests/support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../../tests/support/signing_ca.ts";
import { DAY_MS } from "../../lib/duration.ts";
import { encodeBase64 } from "../../lib/encodings.ts";
import { parseRequest } from "../../request/parse_request.ts";
import type { IssuedCertificate, IssuedCertificateSpec } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import {
  collectNodeClientSettings,
  computeKeyFingerprint,
  decideHold,
  findForeignClaim,
  listRecordedClaims,
  listRequestClaims,
  type NodeClientSettings,
  readNodeCertificate,
  readRecordedNodeCertificate,
} from "./claims.ts";
import type { Lookup, NameClaim, NodeCertificate, OwnershipEvidence } from "./ownership.ts";
import type { Policy } from "../policy.ts";
import { evaluatePolicy, type PolicyVerdict } from "../rules/evaluate_policies.ts";
import { createWebPolicy } from "../rules/web_certificates.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const STRICT: NodeClientSettings = { reissue: "never", machines: "any" };
const OWN: CsrOptions = { username: "system:node:n1", groups: ["system:nodes"] };

function createCertificate(edit: Partial<NodeCertificate> = {}): NodeCertificate {
  return {
    node: "n1",
    publicKeyFingerprint: "another key",
    fingerprint: "f",
    notBefore: new Date(NOW.getTime() - DAY_MS),
    notAfter: new Date(NOW.getTime() + DAY_MS),
    ...edit,
  };
}

async function decide(
  certificates: Lookup<readonly NodeCertificate[]>,
  settings: Partial<NodeClientSettings> = {},
  edit: CsrOptions = {},
) {
  const csr = await buildCsr(edit);
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  const inventory = new Map([["n1", { dns: [], ips: [] }]]);
  const evidence = { inventory, certificates };
  return decideHold({ ...STRICT, ...settings }, { csr, request: request.value, now: NOW, evidence });
}

const found = (...values: readonly NodeCertificate[]) => ({ kind: "found" as const, value: values });
const ownKey = async () => computeKeyFingerprint({ publicKeyDer: (await sharedKey()).publicKeyDer() });

for (
  const { name, certificates, settings = {}, edit = {}, isHeld } of [
    { name: "a node without a certificate", certificates: [], isHeld: false },
    { name: "a node with a certificate from another key", certificates: [createCertificate()], isHeld: true },
    {
      name: "an expired certificate",
      certificates: [createCertificate({ notAfter: NOW })],
      isHeld: false,
    },
    {
      name: "an approved request without a certificate yet",
      certificates: [createCertificate({ fingerprint: undefined, notBefore: undefined, notAfter: undefined })],
      isHeld: true,
    },
    { name: "a renewal by the node itself", certificates: [createCertificate()], edit: OWN, isHeld: false },
    {
      name: "another node that asks for the name",
      certificates: [createCertificate()],
      edit: { ...OWN, username: "system:node:n2" },
      isHeld: true,
    },
    {
      name: "a request for a serving certificate, also where only machines of the inventory are approved",
      certificates: [createCertificate()],
      settings: { machines: "inventory" },
      edit: { signerName: "kubernetes.io/kubelet-serving", usages: ["digital signature", "server auth"] },
      isHeld: false,
    },
    {
      name: "a policy with reissue: allow",
      certificates: [createCertificate()],
      settings: { reissue: "allow" },
      isHeld: false,
    },
    {
      name: "reissue: whenExpiring in the middle of the lifetime",
      certificates: [createCertificate()],
      settings: { reissue: "whenExpiring" },
      isHeld: true,
    },
    {
      name: "reissue: whenExpiring in the last tenth",
      certificates: [createCertificate({ notBefore: new Date(NOW.getTime() - 9 * DAY_MS) })],
      settings: { reissue: "whenExpiring" },
      isHeld: false,
    },
    {
      name: "a certificate in the last tenth without reissue: whenExpiring",
      certificates: [createCertificate({ notBefore: new Date(NOW.getTime() - 9 * DAY_MS) })],
      isHeld: true,
    },
    {
      name: "reissue: whenExpiring with a certificate whose start is unknown",
      certificates: [createCertificate({ notBefore: undefined })],
      settings: { reissue: "whenExpiring" },
      isHeld: true,
    },
    {
      name: "reissue: whenExpiring with a certificate and an approved request",
      certificates: [
        createCertificate({ notBefore: new Date(NOW.getTime() - 9 * DAY_MS) }),
        createCertificate({ notBefore: undefined, notAfter: undefined }),
      ],
      settings: { reissue: "whenExpiring" },
      isHeld: true,
    },
    {
      name: "reissue: whenExpiring with a second, new certificate",
      certificates: [
        createCertificate({ notBefore: new Date(NOW.getTime() - 9 * DAY_MS) }),
        createCertificate({ notAfter: new Date(NOW.getTime() + 2 * DAY_MS) }),
      ],
      settings: { reissue: "whenExpiring" },
      isHeld: true,
    },
  ] as const
) {
  test(`decideHold() ${isHeld ? "holds" : "does not hold"}: ${name}`, async () => {
    const hold = await decide(found(...certificates), settings, edit);
    assert.equal(hold.kind, isHeld ? "found" : "none");
  });
}

test("decideHold() holds a request with the key of an expired certificate when another key has a valid one", async () => {
  const expired = createCertificate({ publicKeyFingerprint: await ownKey(), notAfter: NOW });
  assert.equal((await decide(found(expired, createCertificate()))).kind, "found");
});

for (
  const { name, edit, attribute } of [
    { name: "OU=ok", edit: { organizationalUnits: ["ok"] }, attribute: "OU=ok" },
    { name: "an empty OU", edit: { organizationalUnits: [""] }, attribute: "OU=" },
    { name: "C=DE", edit: { countries: ["DE"] }, attribute: "C=DE" },
    { name: "serialNumber=5", edit: { serialNumber: "5" }, attribute: "SERIALNUMBER=5" },
    { name: "GN=x", edit: { otherAttributes: [{ oid: "2.5.4.42", value: "x" }] }, attribute: "2.5.4.42=x" },
    { name: "a second CN", edit: { overridden: [{ oid: "2.5.4.3", value: "x" }] }, attribute: "2.5.4.3=x" },
  ]
) {
  test(`decideHold() holds a subject that no kubelet requests, also for a renewal: ${name}`, async () => {
    for (const own of [{}, OWN]) {
      const csr = await buildCsr(own);
      const request = parseRequest(csr.spec.request);
      assert.ok(request.ok);
      const facts = { ...request.value, subject: { ...request.value.subject, ...edit } };
      const evidence = { inventory: undefined, certificates: found() };
      const settings = { reissue: "allow", machines: "any" } as const;
      assert.deepEqual(decideHold(settings, { csr, request: facts, now: NOW, evidence }), {
        kind: "found",
        value: {
          kind: "UnusualSubject",
          saw: attribute,
          fault: `the subject has "${attribute}" beyond common name and organization, which no kubelet requests`,
          fix: "find out which program made it; then deny it, or approve it by hand: tlsboot approve csr-1",
        },
      });
    }
  });
}

test("decideHold() does not hold a request with the key of a valid certificate", async () => {
  const same = createCertificate({ publicKeyFingerprint: await ownKey() });
  assert.equal((await decide(found(same, createCertificate()))).kind, "none");
});

test("decideHold() describes the conflicting certificate, and what to do", async () => {
  const hold = await decide(found(createCertificate()));
  assert.deepEqual(hold, {
    kind: "found",
    value: {
      kind: "NameClaimed",
      saw: "valid until 2026-06-02T00:00:00Z",
      fault: "n1 already has a certificate until 2026-06-02T00:00:00Z; another machine may be claiming its name",
      fix: "find out which machine sent the request; if it is n1 itself with a new key, approve it by hand: tlsboot " +
        "approve csr-1; otherwise deny it",
    },
  });
});

test("decideHold() holds a machine that the inventory lacks, also its renewal, if a policy requires it", async () => {
  for (const edit of [{}, { username: "system:node:n4", groups: ["system:nodes"] }]) {
    const hold = await decide(found(), { machines: "inventory" }, { ...edit, commonName: "system:node:n4" });
    assert.equal(hold.kind === "found" && hold.value.fault, "machine n4 is not in the inventory");
  }
  assert.equal((await decide(found(), { machines: "inventory" })).kind, "none");
});

test("decideHold() fails while the certificates of the node are unknown", async () => {
  const failed = { kind: "failed" as const, message: "no answer" };
  assert.deepEqual(await decide(failed), failed);
  assert.equal((await decide(failed, { reissue: "allow" })).kind, "none");
});

test("collectNodeClientSettings() uses reissue of the first policy that has it, and the inventory if any policy requires it", () => {
  const policy = (edit: Partial<Policy>): Policy => ({
    name: "p",
    description: "",
    evidence: { inventory: true, heldCertificate: false, trustNodeStatus: false },
    rules: [],
    ...edit,
  });
  assert.deepEqual(collectNodeClientSettings([]), STRICT);
  assert.deepEqual(
    collectNodeClientSettings([
      policy({ machines: "any" }),
      policy({ reissue: "whenExpiring", machines: "inventory" }),
      policy({ reissue: "allow" }),
    ]),
    { reissue: "whenExpiring", machines: "inventory" },
  );
});

test("readNodeCertificate() reads a certificate, and an approval that has not led to one", async () => {
  const ca = await createSigningCa();
  const [from, until] = [new Date("2026-01-01T00:00:00Z"), new Date("2027-01-01T00:00:00Z")];
  const pem = await issueClientCertificate(ca, from, until);
  const approved = { conditions: [condition("Approved")] };
  const issued = readNodeCertificate(await buildCsr({ ...approved, certificate: encodeBase64(pem) }));
  assert.deepEqual([issued?.node, issued?.notBefore, issued?.notAfter], ["n1", from, until]);
  assert.match(issued?.fingerprint ?? "", /^[0-9a-f]{64}$/);
  const waiting = readNodeCertificate(await buildCsr(approved));
  assert.deepEqual(waiting, {
    node: "n1",
    publicKeyFingerprint: await ownKey(),
    fingerprint: undefined,
    notBefore: undefined,
    notAfter: undefined,
  });
  const failed = { conditions: [condition("Approved"), condition("Failed")] };
  const denied = { conditions: [condition("Denied")] };
  for (const edit of [{}, denied, failed, { ...approved, dnsNames: ["x"] }, { ...approved, request: null }]) {
    assert.equal(readNodeCertificate(await buildCsr(edit)), undefined);
  }
});

test("readRecordedNodeCertificate() reads the records of nodes only", () => {
  const spec: IssuedCertificateSpec = {
    sequence: 1,
    publicKeyFingerprint: "k",
    fingerprint: "f",
    notBefore: "2026-01-01T00:00:00Z",
    notAfter: "2027-01-01T00:00:00Z",
    issuedAt: null,
  };
  const read = (subject: string) =>
    readRecordedNodeCertificate({ metadata: {}, spec: { ...spec, subject }, status: {} });
  for (const subject of ["CN=system:node:n1,O=system:nodes", "O=system:nodes,CN=system:node:n1"]) {
    assert.deepEqual(read(subject), {
      node: "n1",
      publicKeyFingerprint: "k",
      fingerprint: "f",
      notBefore: new Date("2026-01-01T00:00:00Z"),
      notAfter: new Date("2027-01-01T00:00:00Z"),
    });
  }
  assert.equal(read("CN=alice"), undefined);
  assert.equal(read("OU=CN=system:node:n1"), undefined);
  assert.equal(read("CN=system:node:n1,OU=,C=DE,O=system:nodes,O=")?.node, "n1");
  assert.equal(read("CN=a\\,CN=system:node:n1"), undefined);
  // The user in the status decides, not the subject.
  const status = { identifies: { username: "system:node:n2" } };
  assert.equal(readRecordedNodeCertificate({ metadata: {}, spec: { ...spec, subject: "CN=x" }, status })?.node, "n2");
});

test("a kubelet client certificate with an unknown user may be that of any node", async () => {
  const spec: IssuedCertificateSpec = {
    sequence: 1,
    fingerprint: "f",
    signerName: "kubernetes.io/kube-apiserver-client-kubelet",
    subject: "CN=system:node:n1,CN=system:node:n2",
    notBefore: "2026-01-01T00:00:00Z",
    notAfter: "2027-01-01T00:00:00Z",
    issuedAt: null,
  };
  const read = (edit: Partial<IssuedCertificateSpec>) =>
    readRecordedNodeCertificate({ metadata: {}, spec: { ...spec, ...edit }, status: {} });
  assert.equal(read({ signerName: "kubernetes.io/kubelet-serving" }), undefined);
  const unknown = read({});
  assert.ok(unknown !== undefined && unknown.node === undefined);
  assert.deepEqual(read({ notBefore: null, notAfter: null }), {
    node: undefined,
    publicKeyFingerprint: "",
    fingerprint: "f",
    notBefore: undefined,
    notAfter: undefined,
  });
  assert.equal(read({ removed: { from: 1, hash: "h", time: null } }), undefined);
  const hold = await decide(found(unknown));
  assert.deepEqual(hold, {
    kind: "found",
    value: {
      kind: "NameClaimed",
      saw: "a certificate of an unknown node",
      fault: "the register does not say which node certificate f is for; it may be n1's",
      fix:
        "find out whose it is, and revoke it if it is not needed: tlsboot get certificates -o wide; or approve the " +
        "request by hand: tlsboot approve csr-1",
    },
  });
  assert.equal((await decide(found({ ...unknown, notAfter: NOW }))).kind, "none");
  assert.equal((await decide(found(unknown), {}, OWN)).kind, "none");
});

const MONDAY = new Date("2026-03-02T10:30:00Z");
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

async function decideByPolicy(
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
    now: MONDAY,
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
      claims: [{ ...OTHER, notAfter: MONDAY }],
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
    const verdict = await decideByPolicy(csr, claims === undefined ? [] : claims, evidence);
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

test("listRecordedClaims() returns claims of the requester, or of the user of a client certificate", () => {
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

test("listRecordedClaims() gives the names in an unknown user's client certificate to no user", async () => {
  const spec = { ...RECORD.spec, subject: "nas", requester: { username: "alice" }, usages: ["client auth"] };
  const [claim] = listRecordedClaims({ ...RECORD, spec });
  assert.equal(claim?.holder, undefined);
  for (const username of ["alice", "nas", ""]) {
    const csr = await buildCsr({ ...SERVING, username });
    const request = parseRequest(csr.spec.request);
    assert.ok(request.ok);
    assert.equal(findForeignClaim([claim!], { csr, request: request.value, now: MONDAY }), claim);
  }
});

test("listRecordedClaims() returns no claims for a revoked certificate or a CA", () => {
  const revocation = { name: "r", reason: "keyCompromise", time: null };
  assert.deepEqual(listRecordedClaims({ ...RECORD, status: { revocation } }), []);
  assert.deepEqual(listRecordedClaims({ ...RECORD, spec: { ...RECORD.spec, isCA: true } }), []);
});

test("listRequestClaims() returns claims for a request that is approved and not signed yet", async () => {
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
