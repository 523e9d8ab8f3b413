import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions, sharedKey, toBase64 } from "../../../tests/support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../../tests/support/signing_ca.ts";
import { parseRequest } from "../../request/parse_request.ts";
import type { IssuedCertificateSpec } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import {
  collectNodeClientSettings,
  computeKeyFingerprint,
  decideHold,
  type NodeClientSettings,
  readNodeCertificate,
  readRecordedNodeCertificate,
} from "./node_claims.ts";
import type { Lookup, NodeCertificate } from "./ownership.ts";
import type { Policy } from "../policy.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const DAY_MS = 86_400_000;
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
      name: "reissue: whenExpiring with a certificate whose beginning is unknown",
      certificates: [createCertificate({ notBefore: undefined })],
      settings: { reissue: "whenExpiring" },
      isHeld: true,
    },
    {
      name: "reissue: whenExpiring with an approved request beside the certificate",
      certificates: [
        createCertificate({ notBefore: new Date(NOW.getTime() - 9 * DAY_MS) }),
        createCertificate({ notBefore: undefined, notAfter: undefined }),
      ],
      settings: { reissue: "whenExpiring" },
      isHeld: true,
    },
    {
      name: "reissue: whenExpiring with a second certificate that is fresh",
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

test("decideHold() describes the certificate that is in the way, and what to do", async () => {
  const hold = await decide(found(createCertificate()));
  assert.deepEqual(hold, {
    kind: "found",
    value: {
      kind: "NameClaimed",
      saw: "valid until 2026-06-02T00:00:00Z",
      fault: "n1 already has a certificate until 2026-06-02T00:00:00Z; another machine may be claiming its name",
      fix:
        "find out which machine asks; if it is n1 itself with a new key, approve it by hand: tlsboot approve csr-1; " +
        "otherwise deny it",
    },
  });
});

test("decideHold() holds a machine that the inventory lacks, also its renewal, where a policy asks for it", async () => {
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

test("collectNodeClientSettings() takes reissue from the first policy that has it, and the inventory from any", () => {
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
  const issued = readNodeCertificate(await buildCsr({ ...approved, certificate: toBase64(pem) }));
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
  // The user in the status counts, and not the subject.
  const status = { identifies: { username: "system:node:n2" } };
  assert.equal(readRecordedNodeCertificate({ metadata: {}, spec: { ...spec, subject: "CN=x" }, status })?.node, "n2");
});

test("a certificate of the kubelet client signer whose user is unknown may be that of any node", async () => {
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
      fault: "the register does not say for which node certificate f is; it may be n1's",
      fix:
        "find out whose it is, and revoke it if it is not needed: tlsboot get certificates -o wide; or approve the " +
        "request by hand: tlsboot approve csr-1",
    },
  });
  assert.equal((await decide(found({ ...unknown, notAfter: NOW }))).kind, "none");
  assert.equal((await decide(found(unknown), {}, OWN)).kind, "none");
});
