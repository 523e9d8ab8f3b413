import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions } from "../../../tests/support/csr_builder.ts";
import { getMlDsaRequest } from "../../../tests/support/ml_dsa_vectors.ts";
import { parseRequest } from "../../request/parse_request.ts";
import { encodeOid, encodeSequence, encodeSetOf, encodeText } from "../../pki/asn1/der_writer.ts";
import { parseName } from "../../pki/x509/names.ts";
import type { RequestFacts } from "../../pki/x509/pkcs10.ts";
import { evaluatePolicy, type PolicyVerdict } from "./evaluate_policies.ts";
import type { ApprovalRule, Policy, Requirements } from "../policy.ts";
import {
  checkDeniedNames,
  checkDeniedSubject,
  checkKey,
  checkNames,
  checkPermission,
  checkSubject,
  checkUnclaimed,
  checkUsages,
  type PolicyInput,
} from "./checks.ts";
import { formatGrantCommand } from "../approver_rbac.ts";

const WEB: CsrOptions = {
  signerName: "example.com/web",
  username: "web-1",
  groups: ["web"],
  commonName: "a.web.example",
  organizations: [],
  usages: ["server auth"],
};

async function decide(
  require: Partial<Requirements>,
  edit: CsrOptions = {},
  more: Partial<PolicyInput> = {},
  rule: Partial<ApprovalRule> = {},
  facts: Partial<RequestFacts> = {},
): Promise<PolicyVerdict> {
  const policy: Policy = {
    name: "web",
    description: "",
    evidence: { inventory: true, heldCertificate: true, trustNodeStatus: false },
    rules: [{
      name: "one",
      match: { signerNames: ["example.com/*"], users: ["web-*"], groups: ["web"] },
      require: { subject: { commonNames: ["*.web.example"], organizations: [] }, ...require },
      then: "approve",
      otherwise: "pending",
      ...rule,
    }],
  };
  return evaluatePolicy(policy, await createInput(edit, more, facts));
}

async function createInput(
  edit: CsrOptions = {},
  more: Partial<PolicyInput> = {},
  facts: Partial<RequestFacts> = {},
): Promise<PolicyInput> {
  const csr = await buildCsr({ ...WEB, ...edit });
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  return {
    csr,
    request: { ...request.value, ...facts },
    now: new Date("2026-03-02T10:30:00Z"), // a Monday
    evidence: {
      inventory: undefined,
      held: { kind: "none" },
      reported: { kind: "none" },
      certificates: { kind: "none" },
      server: { dns: [], ips: [] },
    },
    permissions: new Map(),
    approvedBefore: [],
    ...more,
  };
}

const names = { owned: false, atLeastOne: false, dns: [], ips: [], uris: [], emails: [] };
const days = ["Mon", "Tue"] as const;

for (
  const { name, require, edit, fault } of [
    { name: "nothing but the subject", require: {}, edit: {}, fault: undefined },
    {
      name: "a name without a rule for names",
      require: {},
      edit: { dnsNames: ["x"] },
      fault: /DNS name "x" is not allowed/,
    },
    {
      name: "a name of the pattern",
      require: { names: { ...names, dns: ["*.web.example"] } },
      edit: { dnsNames: ["a.web.example"] },
      fault: undefined,
    },
    {
      name: "a name two labels below",
      require: { names: { ...names, dns: ["*.web.example"] } },
      edit: { dnsNames: ["a.b.web.example"] },
      fault: /"a\.b\.web\.example" is not allowed/,
    },
    {
      name: "a name with the same ending",
      require: { names: { ...names, dns: ["*.web.example"] } },
      edit: { dnsNames: ["evilweb.example"] },
      fault: /is not allowed/,
    },
    {
      name: "a wildcard against a pattern",
      require: { names: { ...names, dns: ["*.example"] } },
      edit: { dnsNames: ["*.example"] },
      fault: undefined,
    },
    {
      name: "a wildcard against a longer pattern",
      require: { names: { ...names, dns: ["*.web.example"] } },
      edit: { dnsNames: ["*.a.example"] },
      fault: /is not allowed/,
    },
    {
      name: "an upper-case name against a pattern",
      require: { names: { ...names, dns: ["*.web.example"] } },
      edit: { dnsNames: ["A.web.example"] },
      fault: /is not allowed/,
    },
    {
      name: "an address in the range",
      require: { names: { ...names, ips: ["10.1.0.0/16"] } },
      edit: { ipAddresses: ["10.1.2.3"] },
      fault: undefined,
    },
    {
      name: "an address outside of the range",
      require: { names: { ...names, ips: ["10.1.0.0/16"] } },
      edit: { ipAddresses: ["10.2.2.3"] },
      fault: /address 10\.2\.2\.3 is not allowed/,
    },
    {
      name: "an address in the second range",
      require: { names: { ...names, ips: ["10.2.0.0/16", "10.1.0.0/16"] } },
      edit: { ipAddresses: ["10.1.2.3"] },
      fault: undefined,
    },
    {
      name: "no common name where none is wanted",
      require: { subject: { commonNames: [], organizations: [] } },
      edit: { commonName: "" },
      fault: undefined,
    },
    {
      name: "a common name where none is wanted",
      require: { subject: { commonNames: [], organizations: [] } },
      edit: {},
      fault: /common name "a\.web\.example" is not empty/,
    },
    {
      name: "a common name of the second pattern",
      require: { subject: { commonNames: ["b.web.example", "*.web.example"], organizations: [] } },
      edit: {},
      fault: undefined,
    },
    { name: "the first minute", require: { hours: { days, from: 630, to: 631 } }, edit: {}, fault: undefined },
    {
      name: "an IPv6 address in the range",
      require: { names: { ...names, ips: ["2001:db8::/32"] } },
      edit: { ipAddresses: ["2001:db8::1"] },
      fault: undefined,
    },
    {
      name: "a URI of the pattern",
      require: { names: { ...names, uris: ["spiffe://example/*"] } },
      edit: { uris: ["spiffe://example/a"] },
      fault: undefined,
    },
    {
      name: "another URI",
      require: { names: { ...names, uris: ["spiffe://example/*"] } },
      edit: { uris: ["spiffe://other/a"] },
      fault: /URI "spiffe:\/\/other\/a" is not allowed/,
    },
    {
      name: "an e-mail address of the pattern",
      require: { names: { ...names, emails: ["*@example"] } },
      edit: { emailAddresses: ["a@example"] },
      fault: undefined,
    },
    {
      name: "another common name",
      require: {},
      edit: { commonName: "a.mail.example" },
      fault: /common name "a\.mail\.example" is not/,
    },
    { name: "no common name", require: {}, edit: { commonName: "" }, fault: /common name "" is not/ },
    {
      name: "a short RSA key",
      require: { keys: [{ type: "RSA", minBits: 3072 }] },
      edit: { keyAlgorithm: "rsa-2048" },
      fault: /a key RSA 2048 is not allowed/,
    },
    {
      name: "another type of key",
      require: { keys: [{ type: "Ed25519" }] },
      edit: {},
      fault: /a key ECDSA 256 is not allowed/,
    },
    {
      name: "a key of the type",
      require: { keys: [{ type: "Ed25519" }] },
      edit: { keyAlgorithm: "ed25519" },
      fault: undefined,
    },
    {
      name: "a key of one of the types",
      require: {
        subject: { commonNames: ["system:node:n1"], organizations: ["system:nodes"] },
        names: { owned: false, atLeastOne: true, dns: ["n1.example.org"], ips: [], uris: [], emails: [] },
        keys: [{ type: "Ed25519" }, { type: "ML-DSA-44" }],
      },
      edit: { request: getMlDsaRequest() },
      fault: undefined,
    },
    {
      name: "a key of another parameter set",
      require: { keys: [{ type: "ML-DSA-65" }] },
      edit: { request: getMlDsaRequest() },
      fault: /a key ML-DSA-44 10496 is not allowed/,
    },
    {
      name: "a short lifetime",
      require: { lifetime: { maxMs: 3_600_000, mayBeAbsent: false } },
      edit: { expirationSeconds: 3600 },
      fault: undefined,
    },
    {
      name: "a long lifetime",
      require: { lifetime: { maxMs: 3_600_000, mayBeAbsent: false } },
      edit: { expirationSeconds: 3601 },
      fault: /1h0m1s is longer than 1h0m0s/,
    },
    {
      name: "no requested lifetime",
      require: { lifetime: { maxMs: 3_600_000, mayBeAbsent: false } },
      edit: {},
      fault: /has no lifetime/,
    },
    {
      name: "no requested lifetime where none is required",
      require: { lifetime: { mayBeAbsent: true } },
      edit: {},
      fault: undefined,
    },
    { name: "the right hour", require: { hours: { days, from: 480, to: 631 } }, edit: {}, fault: undefined },
    {
      name: "the end of the hour",
      require: { hours: { days, from: 480, to: 630 } },
      edit: {},
      fault: /Mon 10:30 UTC is outside of Mon, Tue 08:00 to 10:30 UTC/,
    },
    {
      name: "another day",
      require: { hours: { days: ["Sun"], from: 0, to: 1440 } },
      edit: {},
      fault: /is outside of Sun/,
    },
    {
      name: "a missing usage",
      require: { usages: { allowed: ["server auth"], required: ["server auth", "digital signature"] } },
      edit: {},
      fault: /usage "digital signature" is missing/,
    },
    {
      name: "ownership of a requester that is not a node",
      require: { names: { ...names, owned: true } },
      edit: { dnsNames: ["a.web.example"] },
      fault: /the requester is not a node/,
    },
  ] as readonly {
    readonly name: string;
    readonly require: Partial<Requirements>;
    readonly edit: CsrOptions;
    readonly fault: RegExp | undefined;
  }[]
) {
  test(`a rule ${fault === undefined ? "approves" : "refuses"} ${name}`, async () => {
    const verdict = await decide(require, edit);
    assert.equal(verdict.kind, fault === undefined ? "approve" : "pending", verdict.message);
    if (fault !== undefined) assert.match(verdict.message, fault);
  });
}

for (
  const [answer, kind] of [
    [{ kind: "found", value: true }, "approve"],
    [{ kind: "found", value: false }, "pending"],
    [{ kind: "none" }, "pending"],
    [{ kind: "failed", message: "no answer" }, "unknown"],
  ] as const
) {
  test(`a permission that is ${JSON.stringify(answer)} means ${kind}, also where the rule denies`, async () => {
    const permissions = new Map([["web", answer]]);
    assert.equal((await decide({ permission: "web" }, {}, { permissions })).kind, kind);
    const denying = await decide({ permission: "web" }, {}, { permissions }, { otherwise: "deny" });
    assert.equal(denying.kind, kind === "pending" ? "deny" : kind);
  });
}

for (
  const { requester, commonName, pattern = "${requester}", kind } of [
    { requester: "web-1", commonName: "web-1", kind: "approve" },
    { requester: "web-1", commonName: "web-2", kind: "pending" },
    { requester: "web-*", commonName: "web-payments", kind: "pending" },
    { requester: "web-*", commonName: "web-*", kind: "approve" },
    { requester: "web-payments$'", commonName: "web-payments", kind: "pending" },
    { requester: "web-payments$'", commonName: "web-payments$'", kind: "approve" },
    { requester: "web-$$", commonName: "web-$", kind: "pending" },
    { requester: "web-$&", commonName: "web-${requester}", kind: "pending" },
    { requester: "web-1", commonName: "${requester}", kind: "pending" },
    { requester: "web-1", commonName: "a.web-1.example", pattern: "*.${requester}.example", kind: "approve" },
    { requester: "web-*", commonName: "a.web-x.example", pattern: "*.${requester}.example", kind: "pending" },
  ] as const
) {
  test(`a rule for ${pattern} ${kind}s the common name ${commonName} of requester ${requester}`, async () => {
    const subject = { commonNames: [pattern], organizations: [] };
    const verdict = await decide({ subject }, { username: requester, commonName });
    assert.equal(verdict.kind, kind, verdict.message);
  });
}

const OIDS = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  serialNumber: "2.5.4.5",
  title: "2.5.4.12",
  emailAddress: "1.2.840.113549.1.9.1",
  domainComponent: "0.9.2342.19200300.100.1.25",
  uid: "0.9.2342.19200300.100.1.1",
} as const;

/** A subject as a client may write it, beyond what `createCertificationRequest` writes. */
function subjectWith(...attributes: readonly (readonly [keyof typeof OIDS, string])[]): Partial<RequestFacts> {
  const rdns = attributes.map(([type, value]) =>
    encodeSetOf([encodeSequence(encodeOid(OIDS[type]), encodeText(value))])
  );
  return { subject: parseName(encodeSequence(...rdns), "request") };
}

const RIGHT = ["commonName", "a.web.example"] as const;

for (
  const { attributes, fault } of [
    { attributes: [RIGHT], fault: undefined },
    { attributes: [RIGHT, ["emailAddress", "a@example"]], fault: /has "1\.2\.840\.113549\.1\.9\.1=a@example" beyond/ },
    { attributes: [["domainComponent", "corp"], RIGHT], fault: /100\.1\.25=corp" beyond/ },
    { attributes: [["uid", "root"], RIGHT], fault: /100\.1\.1=root" beyond/ },
    { attributes: [["title", "boss"], RIGHT], fault: /2\.5\.4\.12=boss" beyond/ },
    { attributes: [["serialNumber", "7"], RIGHT], fault: /has "SERIALNUMBER=7" beyond/ },
    { attributes: [["commonName", "admin"], RIGHT], fault: /2\.5\.4\.3=admin" beyond/ },
    { attributes: [RIGHT, RIGHT], fault: /2\.5\.4\.3=a\.web\.example" beyond/ },
    { attributes: [RIGHT, ["commonName", "admin"]], fault: /common name "admin" is not/ },
  ] as const
) {
  const words = attributes.map(([type, value]) => `${type}=${value}`).join(",");
  test(`a rule ${fault === undefined ? "approves" : "refuses"} the subject ${words}`, async () => {
    const verdict = await decide({}, {}, {}, {}, subjectWith(...attributes));
    assert.equal(verdict.kind, fault === undefined ? "approve" : "pending", verdict.message);
    if (fault !== undefined) assert.match(verdict.message, fault);
  });

  test(`a rule that denies common name a.web.example sees it in the subject ${words}`, async () => {
    const verdict = await decide({}, {}, {}, { then: "deny" }, subjectWith(...attributes));
    assert.equal(verdict.kind, "deny", verdict.message);
  });
}

for (
  const { name, require, edit, kind } of [
    {
      name: "an additional organization",
      require: { subject: { commonNames: [], organizations: ["a"] } },
      edit: { organizations: ["b", "a"] },
      kind: "deny",
    },
    {
      name: "another organization",
      require: { subject: { commonNames: [], organizations: ["a"] } },
      edit: { organizations: ["b"] },
      kind: "pending",
    },
    {
      name: "another common name",
      require: { subject: { commonNames: ["b.web.example"], organizations: [] } },
      edit: {},
      kind: "pending",
    },
    {
      name: "a name among others, in any case",
      require: { names: { ...names, dns: ["*.pay.example"] } },
      edit: { dnsNames: ["a.web.example", "A.Pay.example"] },
      kind: "deny",
    },
    {
      name: "an address among others",
      require: { names: { ...names, ips: ["10.9.0.0/16"] } },
      edit: { ipAddresses: ["10.1.0.1", "10.9.0.1"] },
      kind: "deny",
    },
    {
      name: "a name of the second pattern",
      require: { names: { ...names, dns: ["x.example", "*.pay.example"] } },
      edit: { dnsNames: ["a.pay.example"] },
      kind: "deny",
    },
    {
      name: "an address of the second range",
      require: { names: { ...names, ips: ["10.8.0.0/16", "10.9.0.0/16"] } },
      edit: { ipAddresses: ["10.9.0.1"] },
      kind: "deny",
    },
    {
      name: "an e-mail address of the second pattern",
      require: { names: { ...names, emails: ["x@example", "*@pay"] } },
      edit: { emailAddresses: ["a@pay"] },
      kind: "deny",
    },
    {
      name: "a URI of the second pattern",
      require: { names: { ...names, uris: ["spiffe://x/*", "spiffe://pay/*"] } },
      edit: { uris: ["spiffe://pay/a"] },
      kind: "deny",
    },
    { name: "any name when none is listed", require: { names }, edit: { dnsNames: ["x"] }, kind: "deny" },
    {
      name: "one name of each kind",
      require: { names: { ...names, atLeastOne: true } },
      edit: { dnsNames: ["x"], ipAddresses: ["10.1.0.1"] },
      kind: "deny",
    },
    {
      name: "a request without a name",
      require: { names: { ...names, atLeastOne: true } },
      edit: { uris: ["spiffe://x/a"] },
      kind: "pending",
    },
    {
      name: "other names",
      require: { names: { ...names, dns: ["*.pay.example"], ips: ["10.9.0.0/16"] } },
      edit: { dnsNames: ["a.web.example"], ipAddresses: ["10.1.0.1"] },
      kind: "pending",
    },
  ] as readonly {
    readonly name: string;
    readonly require: Partial<Requirements>;
    readonly edit: CsrOptions;
    readonly kind: PolicyVerdict["kind"];
  }[]
) {
  test(`a rule that denies ${kind === "deny" ? "denies" : "does not deny"} ${name}`, async () => {
    assert.equal((await decide(require, edit, {}, { then: "deny" })).kind, kind);
  });
}

test("a rule that passes a request on lets the next rule decide", async () => {
  const verdict = await decide({}, { commonName: "x" }, {}, { otherwise: "next" });
  assert.equal(verdict.kind, "pending");
  assert.equal(verdict.rule, undefined);
  assert.equal(verdict.trace[0]?.outcome, "next");
});

test("a verdict escapes terminal control characters", async () => {
  const verdict = await decide({}, { commonName: "x\u001b[2J\u202e" });
  assert.match(verdict.message, /common name "x\\u001b\[2J\\u202e" is not/);
});

test("checkNames() refuses a name of another kind, which no rule can list", async () => {
  const { outcome, fault } = checkNames(undefined, await createInput({}, {}, { otherNames: 1 }));
  assert.deepEqual([outcome, fault], ["fails", "a name is not a DNS name, an address, an e-mail address or a URI"]);
});

test("checks show the values that they compared, or that there were none", async () => {
  const empty = await createInput({ commonName: "", usages: [] });
  const { usages: _usages, username: _username, ...spec } = empty.csr.spec;
  const bare = { ...empty, csr: { ...empty.csr, spec } };
  const full = await createInput({ dnsNames: ["a.web.example"], uris: ["spiffe://x/a"], usages: ["server auth"] });
  const subject = { commonNames: [], organizations: [] };
  const usages = { allowed: ["server auth"], required: [] };
  const see = (input: PolicyInput) =>
    [
      checkSubject(subject, input),
      checkDeniedSubject(subject, input),
      checkNames(names, input),
      checkDeniedNames(names, input),
      checkUnclaimed(input),
      checkUsages(usages, input),
    ].map(({ saw }) => saw);
  assert.deepEqual(see(bare), ["none", "none", "none", "none", "none", "none"]);
  const { fault } = checkSubject({ commonNames: ["${requester} of ${dns}"], organizations: [] }, bare);
  assert.equal(fault, 'common name "" is not " of "');
  assert.deepEqual(see(full), [
    "CN=a.web.example",
    "CN=a.web.example",
    "a.web.example spiffe://x/a",
    "a.web.example spiffe://x/a",
    "a.web.example",
    "server auth",
  ]);
});

test("a check in a rule that denies has no fix", async () => {
  const wanted = { commonNames: [], organizations: ["a"] };
  assert.deepEqual(checkDeniedSubject(wanted, await createInput()), {
    what: "subject",
    saw: "CN=a.web.example",
    outcome: "fails",
    fault: 'organization "a" is missing',
  });
});

test("checkKey() lists the keys that are allowed", async () => {
  const { fix } = checkKey([{ type: "RSA", minBits: 3072 }, { type: "Ed25519" }], await createInput());
  assert.equal(fix, "make a new key: RSA of 3072 bits or more, Ed25519");
});

for (const { msAgo, kind } of [{ msAgo: 3_600_000, kind: "approve" }, { msAgo: 3_599_999, kind: "pending" }]) {
  test(`a rule of one request an hour returns ${kind} when the last one was ${msAgo} ms ago`, async () => {
    const at = new Date(Date.parse("2026-03-02T10:30:00Z") - msAgo);
    const approvedBefore = [{ policy: "web", rule: "one", at }];
    assert.equal((await decide({ rate: { max: 1, perMs: 3_600_000 } }, {}, { approvedBefore })).kind, kind);
  });
}

for (
  const { groups, want } of [
    { groups: ["system:authenticated"], want: { kind: "user", name: "web-1" } },
    { groups: ["a", "system:nodes"], want: { kind: "group", name: "system:nodes" } },
    { groups: ["a", "system:bootstrappers"], want: { kind: "group", name: "system:bootstrappers" } },
    {
      groups: ["system:bootstrappers", "system:bootstrappers:web"],
      want: { kind: "group", name: "system:bootstrappers:web" },
    },
  ] as const
) {
  test(`checkPermission() proposes a grant to ${want.kind} ${want.name}`, async () => {
    const { outcome, fix } = checkPermission("web", await createInput({ groups }));
    assert.equal(outcome, "fails");
    assert.equal(
      fix,
      `grant create on certificatesigningrequests/web: ${formatGrantCommand("web", want)}`,
    );
  });
}

for (
  const [permission, command] of [
    [
      "nodeclient",
      "kubectl create clusterrolebinding tlsboot:node-autoapprove-bootstrap " +
      "--clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --user=a",
    ],
    [
      "web",
      "kubectl create clusterrole tlsboot:web --verb=create " +
      "--resource=certificatesigningrequests.certificates.k8s.io/web && " +
      "kubectl create clusterrolebinding tlsboot:web --clusterrole=tlsboot:web --user=a",
    ],
  ] as const
) {
  test(`formatGrantCommand() of ${permission}`, () => {
    assert.equal(formatGrantCommand(permission, { kind: "user", name: "a" }), command);
  });
}
