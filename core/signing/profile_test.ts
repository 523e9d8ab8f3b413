import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions, fromBase64 } from "../../tests/support/csr_builder.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { parseRequest } from "../request/parse_request.ts";
import {
  BUILTIN_SIGNERS,
  checkProfile,
  decideClientTrust,
  decideDurationSeconds,
  findClientTrust,
  findRefusals,
  planCertificate,
  type PlanInput,
  planValidity,
  type SigningRefusal,
} from "./profile.ts";
import fc from "../../tests/support/properties.ts";
import { type CertificatePlan, issueCertificate } from "../pki/authority/issue.ts";
import { getMlDsaRequest } from "../../tests/support/ml_dsa_vectors.ts";
import { hasMlDsa } from "../pki/keys/ml_dsa.ts";
import { createIntermediate, createTestAuthority } from "../../tests/support/test_authority.ts";
import { NO_SUBTREES } from "../pki/x509/name_constraints.ts";
import type { Result } from "../lib/result.ts";
import { createSigningCa, type SigningCa } from "../../tests/support/signing_ca.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";

const CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const API_CLIENT = "kubernetes.io/kube-apiserver-client";
const LEGACY = "kubernetes.io/legacy-unknown";
const CLIENT_USAGES = "usages did not match [client auth digital signature key encipherment]";
const SERVING_USAGES = "usages did not match [digital signature key encipherment server auth]";
const serving = { dnsNames: ["example.com"], usages: ["digital signature", "server auth"] };

const cases: readonly { signer: string; name: string; edit: CsrOptions; want?: string }[] = [
  { signer: CLIENT, name: "two usages", edit: {} },
  { signer: CLIENT, name: "three usages", edit: { usages: ["key encipherment", "client auth", "digital signature"] } },
  { signer: CLIENT, name: "a usage twice", edit: { usages: ["client auth", "client auth", "digital signature"] } },
  { signer: CLIENT, name: "an empty node name", edit: { commonName: "system:node:" } },
  {
    signer: CLIENT,
    name: "no organization",
    edit: { organizations: [] },
    want: "subject organization is not system:nodes",
  },
  {
    signer: CLIENT,
    name: "an extra organization",
    edit: { organizations: ["system:nodes", "system:masters"] },
    want: "subject organization is not system:nodes",
  },
  { signer: CLIENT, name: "a DNS name", edit: { dnsNames: ["a"] }, want: "DNS subjectAltNames are not allowed" },
  {
    signer: CLIENT,
    name: "an email address",
    edit: { emailAddresses: ["a@b.c"] },
    want: "Email subjectAltNames are not allowed",
  },
  { signer: CLIENT, name: "an IP", edit: { ipAddresses: ["10.0.0.1"] }, want: "IP subjectAltNames are not allowed" },
  { signer: CLIENT, name: "a URI", edit: { uris: ["spiffe://a/b"] }, want: "URI subjectAltNames are not allowed" },
  {
    signer: CLIENT,
    name: "another common name",
    edit: { commonName: "mike" },
    want: "subject common name does not begin with system:node:",
  },
  { signer: CLIENT, name: "a missing usage", edit: { usages: ["client auth"] }, want: CLIENT_USAGES },
  {
    signer: CLIENT,
    name: "an extra usage",
    edit: { usages: ["client auth", "digital signature", "server auth"] },
    want: CLIENT_USAGES,
  },
  {
    signer: CLIENT,
    name: "another usage in place of digital signature",
    edit: { usages: ["client auth", "server auth"] },
    want: CLIENT_USAGES,
  },
  { signer: CLIENT, name: "no usages", edit: { usages: [] }, want: CLIENT_USAGES },
  {
    signer: CLIENT,
    name: "common name and usages both wrong (common name first)",
    edit: { commonName: "mike", usages: [] },
    want: "subject common name does not begin with system:node:",
  },
  { signer: SERVING, name: "a DNS name", edit: serving },
  { signer: SERVING, name: "an IP", edit: { ...serving, dnsNames: [], ipAddresses: ["10.0.0.1"] } },
  { signer: SERVING, name: "three usages", edit: { ...serving, usages: [...serving.usages, "key encipherment"] } },
  {
    signer: SERVING,
    name: "another organization",
    edit: { ...serving, organizations: ["x"] },
    want: "subject organization is not system:nodes",
  },
  {
    signer: SERVING,
    name: "no SAN",
    edit: { ...serving, dnsNames: [] },
    want: "DNS or IP subjectAltName is required",
  },
  {
    signer: SERVING,
    name: "an email address",
    edit: { ...serving, emailAddresses: ["a@b.c"] },
    want: "Email subjectAltNames are not allowed",
  },
  {
    signer: SERVING,
    name: "a URI",
    edit: { ...serving, uris: ["spiffe://a/b"] },
    want: "URI subjectAltNames are not allowed",
  },
  { signer: SERVING, name: "client auth", edit: { ...serving, usages: ["client auth"] }, want: SERVING_USAGES },
  {
    signer: SERVING,
    name: "common name and usages both wrong (usages first)",
    edit: { ...serving, commonName: "mike", usages: [] },
    want: SERVING_USAGES,
  },
  {
    signer: SERVING,
    name: "another common name",
    edit: { ...serving, commonName: "mike" },
    want: "subject common name does not begin with system:node:",
  },
  { signer: API_CLIENT, name: "any subject", edit: { commonName: "alice", organizations: [], dnsNames: ["a"] } },
  { signer: API_CLIENT, name: "only client auth", edit: { usages: ["client auth"] } },
  {
    signer: API_CLIENT,
    name: "server auth",
    edit: { usages: ["client auth", "server auth", "any"] },
    want: "invalid usage for client certificate: server auth",
  },
  {
    signer: API_CLIENT,
    name: "no client auth",
    edit: { usages: ["digital signature"] },
    want: "missing required usage for client certificate: client auth",
  },
  { signer: LEGACY, name: "anything", edit: { commonName: "x", organizations: [], usages: [] } },
];

for (const { signer, name, edit, want } of cases) {
  test(`checkProfile() of ${signer} ${want === undefined ? "allows" : "refuses"}: ${name}`, async () => {
    const csr = await buildCsr(edit);
    const facts = parseRequest(csr.spec.request);
    const profile = BUILTIN_SIGNERS.get(signer);
    assert.ok(facts.ok && profile !== undefined);
    assert.equal(checkProfile(profile, facts.value, csr.spec.usages ?? [])?.message, want);
  });
}

const masters = { signerName: API_CLIENT, organizations: ["a", "system:masters"], usages: ["client auth"] };
const RESTRICTED = `use of ${API_CLIENT} signer with system:masters group is not allowed`;
const UNFIT = `the signer ${API_CLIENT} refuses it: missing required usage for client certificate: client auth`;

for (
  const { name, edit, want } of [
    { name: "a kubelet's request", edit: {}, want: [] },
    { name: "a request for administrators", edit: masters, want: [RESTRICTED] },
    { name: "administrators of another signer", edit: { ...masters, signerName: "example.com/x" }, want: [] },
    { name: "a request of another group", edit: { ...masters, organizations: ["a"] }, want: [] },
    {
      name: "what the signer and the admission refuse",
      edit: { ...masters, usages: ["digital signature"] },
      want: [RESTRICTED, UNFIT],
    },
    { name: "what the API refuses", edit: { ...masters, usages: [] }, want: ["spec.usages: Required value"] },
  ]
) {
  test(`findRefusals() predicts ${want.length} for ${name}`, async () => {
    assert.deepEqual(findRefusals(await buildCsr(edit)), want);
  });
}

// Carries `authority_test.go`, `signer_test.go` and `test/integration/certificates/duration_test.go`.
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = new Date("2026-05-04T03:02:01.900Z");

async function plan(
  edit: CsrOptions,
  options: Partial<PlanInput> = {},
): Promise<Result<CertificatePlan, SigningRefusal>> {
  const csr = await buildCsr(edit);
  const facts = parseRequest(csr.spec.request);
  const profile = BUILTIN_SIGNERS.get(csr.spec.signerName);
  assert.ok(facts.ok && profile !== undefined);
  return planCertificate({
    csr,
    facts: facts.value,
    profile,
    caNotAfter: new Date("2036-01-01T00:00:00Z"),
    signingDurationSeconds: 24 * 3600,
    now: NOW,
    ...options,
  });
}

for (
  const { requested, limit, want } of [
    { requested: undefined, limit: 3600, want: 3600 },
    { requested: 1800, limit: 3600, want: 1800 },
    { requested: 3 * 3600, limit: 3600, want: 3600 },
    { requested: -60, limit: 3600, want: 600 },
    { requested: 599, limit: 3600, want: 600 },
    { requested: 600, limit: 3600, want: 600 },
    { requested: 3600, limit: 3600, want: 3600 },
    { requested: 700, limit: 300, want: 300 },
    { requested: 300, limit: 300, want: 600 },
  ]
) {
  test(`decideDurationSeconds() gives ${want} for ${requested} within ${limit}`, () => {
    assert.equal(decideDurationSeconds(requested, limit), want);
  });
}

for (
  const { requestedHours, want } of [
    { requestedHours: undefined, want: 24 * HOUR },
    { requestedHours: 24, want: 24 * HOUR },
    { requestedHours: 48, want: 24 * HOUR },
    { requestedHours: 20, want: 20 * HOUR },
    { requestedHours: 10, want: 10 * HOUR },
    { requestedHours: 8, want: 8 * HOUR },
    { requestedHours: 2, want: 2 * HOUR + 5 * MINUTE },
    { requestedHours: 0.5, want: 35 * MINUTE },
    { requestedHours: 1 / 6, want: 15 * MINUTE },
  ]
) {
  test(`planCertificate() gives exactly ${want / MINUTE} min for ${requestedHours ?? "no"} h requested`, async () => {
    const planned = await plan({
      signerName: "kubernetes.io/kube-apiserver-client",
      commonName: "panda",
      usages: ["client auth"],
      ...(requestedHours === undefined ? {} : { expirationSeconds: requestedHours * 3600 }),
    });
    assert.ok(planned.ok);
    const { notBefore, notAfter } = planned.value;
    assert.equal(notAfter.getTime() - notBefore.getTime(), want);
    assert.equal(notBefore.toISOString(), "2026-05-04T02:57:01.000Z");
  });
}

for (
  const { name, lifetime, backdate, short, from, to } of [
    { name: "1 h, no short", lifetime: HOUR, backdate: 5 * MINUTE, short: 0, from: -5, to: 55 },
    { name: "1 min, no short", lifetime: MINUTE, backdate: 5 * MINUTE, short: 0, from: -5, to: -4 },
    { name: "1 h", lifetime: HOUR, backdate: 5 * MINUTE, short: 8 * HOUR, from: -5, to: 60 },
    { name: "1 min", lifetime: MINUTE, backdate: 5 * MINUTE, short: 8 * HOUR, from: -5, to: 1 },
    { name: "24 h", lifetime: 24 * HOUR, backdate: 5 * MINUTE, short: 8 * HOUR, from: -5, to: 24 * 60 - 5 },
    {
      name: "48 h, as far as the CA",
      lifetime: 48 * HOUR,
      backdate: 5 * MINUTE,
      short: 8 * HOUR,
      from: -5,
      to: 24 * 60,
    },
  ]
) {
  test(`planValidity() spans ${from}..${to} min: ${name}`, () => {
    const now = new Date("2026-01-01T00:00:00Z");
    const ca = new Date(now.getTime() + 24 * HOUR);
    const validity = planValidity(now, lifetime, ca, backdate, short);
    assert.ok(validity.ok);
    assert.equal((validity.value.notBefore.getTime() - now.getTime()) / MINUTE, from);
    assert.equal((validity.value.notAfter.getTime() - now.getTime()) / MINUTE, to);
  });
}

test("planValidity() refuses a CA that has expired, in Go's words", () => {
  const end = new Date("2026-01-01T00:00:00Z");
  assert.deepEqual(planValidity(end, HOUR, end, 0), {
    ok: false,
    error: "the signer has expired: NotAfter=2026-01-01 00:00:00 +0000 UTC",
  });
  assert.deepEqual(planValidity(end, HOUR, end), {
    ok: false,
    error: "refusing to sign a certificate that expired in the past: NotAfter=2026-01-01 00:00:00 +0000 UTC",
  });
  assert.deepEqual(planValidity(new Date(end.getTime() + 5 * MINUTE), HOUR, end), {
    ok: false,
    error: "the signer has expired: NotAfter=2026-01-01 00:00:00 +0000 UTC",
  });
});

test("planValidity() never ends after the CA, never starts after now", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 1e12 }), fc.integer({ min: 0, max: 1e12 }), (lifetime, caLifetime) => {
      const ca = new Date(Math.floor((NOW.getTime() + caLifetime) / 1000) * 1000);
      const validity = planValidity(NOW, lifetime, ca);
      if (!validity.ok) return;
      assert.ok(validity.value.notAfter <= ca);
      assert.ok(validity.value.notBefore < NOW);
    }),
  );
});

test("planCertificate() carries subject, key, SANs and usages, and nothing else", async () => {
  const edit = {
    signerName: "kubernetes.io/kube-apiserver-client",
    commonName: "panda",
    organizations: ["a", "b"],
    dnsNames: ["a.example"],
    ipAddresses: ["10.0.0.1"],
    emailAddresses: ["a@b.c"],
    uris: ["spiffe://a/b"],
  };
  const planned = await plan(edit);
  assert.ok(planned.ok);
  const { subject, publicKeyDer, notBefore: _start, notAfter: _end, ...rest } = planned.value;
  assert.equal(subject.commonName, "panda");
  assert.deepEqual(subject.organizations, ["a", "b"]);
  assert.equal("raw" in subject, false);
  assert.ok(publicKeyDer.length > 0);
  assert.deepEqual(rest, {
    dnsNames: ["a.example"],
    ipAddresses: ["10.0.0.1"],
    emailAddresses: ["a@b.c"],
    uris: ["spiffe://a/b"],
    usages: ["digital signature", "client auth"],
    isCa: false,
  });
});

test("planCertificate() fails permanently when the profile is broken", async () => {
  assert.deepEqual(await plan({ organizations: ["x"] }), {
    ok: false,
    error: {
      kind: "failed",
      reason: "SignerValidationFailure",
      message: "subject organization is not system:nodes",
      rule: "organization",
    },
  });
});

test("planCertificate() lists all unknown usages as Go prints them", async () => {
  const edit = { signerName: "kubernetes.io/legacy-unknown", usages: ["a", "client auth", 'b"'] };
  assert.deepEqual(await plan(edit), {
    ok: false,
    error: { kind: "error", message: 'unrecognized usage values: ["a" "b\\""]' },
  });
});

for (
  const { name, usages, allowMlDsa, want } of [
    {
      name: "without the feature gate",
      usages: ["digital signature", "client auth"],
      allowMlDsa: false,
      want: "error",
    },
    { name: "with it", usages: ["digital signature", "client auth"], allowMlDsa: true, want: "planned" },
    {
      name: "for key encipherment",
      usages: ["digital signature", "key encipherment", "client auth"],
      allowMlDsa: true,
      want: "failed",
    },
  ]
) {
  test(`planCertificate() of an ML-DSA key ${name}`, async () => {
    const answer = await plan(
      { request: getMlDsaRequest(), usages, signerName: "kubernetes.io/kube-apiserver-client" },
      allowMlDsa ? { allowMlDsa } : {},
    );
    // Without ML-DSA in the runtime no signature is verified, so that another replica may sign.
    const expected = allowMlDsa && !hasMlDsa() ? "error" : want;
    assert.equal(answer.ok ? "planned" : answer.error.kind, expected);
  });
}

test("planCertificate() refuses an expired CA temporarily", async () => {
  assert.deepEqual(await plan({}, { caNotAfter: new Date("2020-01-01T00:00:00Z") }), {
    ok: false,
    error: { kind: "error", message: "the signer has expired: NotAfter=2020-01-01 00:00:00 +0000 UTC" },
  });
});

test("planCertificate() plans no usages if neither the request nor the profile has any", async () => {
  const planned = await plan({ signerName: "kubernetes.io/legacy-unknown" }, { csr: { spec: {} } });
  assert.deepEqual(planned.ok && planned.value.usages, []);
});

test("planCertificate() checks the signature of the request again", async () => {
  const { spec } = await buildCsr({ commonName: "system:node:aaaa" });
  const der = Buffer.from(fromBase64(spec.request ?? "").split("\n").slice(1, -2).join(""), "base64");
  der.write("system:node:bbbb", der.indexOf("system:node:aaaa"));
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  assert.deepEqual(await plan({ request: encodeBase64(pem) }), {
    ok: false,
    error: {
      kind: "error",
      message: "unable to verify certificate request signature: x509: ECDSA verification failure",
    },
  });
});

for (
  const { name, edit, allowed } of [
    { name: "kubelet client", edit: {}, allowed: true },
    {
      name: "API client",
      edit: { signerName: "kubernetes.io/kube-apiserver-client", usages: ["client auth"] },
      allowed: true,
    },
    {
      name: "kubelet serving",
      edit: {
        signerName: "kubernetes.io/kubelet-serving",
        usages: ["server auth", "digital signature"],
        dnsNames: ["a"],
      },
      allowed: true,
    },
    { name: "legacy, client auth", edit: { signerName: "kubernetes.io/legacy-unknown" }, allowed: false },
    { name: "legacy, any", edit: { signerName: "kubernetes.io/legacy-unknown", usages: ["any"] }, allowed: false },
    {
      name: "legacy, no extended usage at all",
      edit: { signerName: "kubernetes.io/legacy-unknown", usages: ["digital signature"] },
      allowed: false,
    },
    {
      name: "legacy, server auth",
      edit: { signerName: "kubernetes.io/legacy-unknown", usages: ["server auth"] },
      allowed: true,
    },
  ]
) {
  test(`planCertificate() ${allowed ? "allows" : "refuses"} from a CA that the API trusts: ${name}`, async () => {
    const planned = await plan(edit, { clientTrust: "trusted" });
    assert.equal(planned.ok, allowed);
    if (!planned.ok) assert.equal(planned.error.kind, "failed");
    assert.equal((await plan(edit)).ok, true);
  });
}

test("planCertificate() permanently refuses names that violate the constraints of the CA or of one above it", async () => {
  const root = await createTestAuthority();
  const permitted = { ...NO_SUBTREES, dnsNames: ["example.org"] };
  const nameConstraints = { permitted, excluded: NO_SUBTREES };
  const upper = await createIntermediate(root, "upper", { nameConstraints });
  const lower = await createIntermediate(upper, "lower");
  const issuers = [lower.certificate, ...lower.issuers];
  const request = { signerName: "kubernetes.io/kube-apiserver-client", commonName: "panda", usages: ["client auth"] };
  assert.ok((await plan({ ...request, dnsNames: ["a.example.org"] }, { issuers })).ok);
  const refused = await plan({ ...request, dnsNames: ["a.example.com"] }, { issuers });
  assert.deepEqual(refused, {
    ok: false,
    error: {
      kind: "failed",
      reason: "SignerValidationFailure",
      message: 'the CA\'s name constraints forbid it: DNS name "a.example.com" is not permitted by any constraint',
    },
  });
});

async function createSubordinate(ca: SigningCa): Promise<{ readonly certificate: CertificateFacts }> {
  const key = await generatePrivateKey("ecdsa-p256");
  const { notBefore, notAfter } = ca.certificate;
  const plan = {
    subject: { commonName: "below" },
    publicKeyDer: key.publicKeyDer(),
    ...{ dnsNames: [], ipAddresses: [], emailAddresses: [], uris: [] },
    ...{ notBefore, notAfter, usages: ["cert sign"], isCa: true },
  };
  const facts = parseCertificate(await issueCertificate(plan, ca, Uint8Array.of(5)));
  assert.ok(facts.ok);
  return { certificate: facts.value };
}

test("findClientTrust() returns true, false, or undefined when it is unknown", async () => {
  const [root, other, imposter] = await Promise.all([
    createSigningCa(),
    createSigningCa({ commonName: "other" }),
    createSigningCa(),
  ]);
  const below = await createSubordinate(root);
  const believed = [root.certificate, other.certificate];
  assert.equal(findClientTrust(root, believed), true);
  assert.equal(findClientTrust(below, believed), true, "the API trusts its issuer");
  assert.equal(findClientTrust(below, [other.certificate]), undefined, "its issuer may be below the other one");
  // The same name with another key is another CA.
  assert.equal(findClientTrust(imposter, believed), false);
  assert.equal(findClientTrust(below, [imposter.certificate]), undefined);
  assert.equal(findClientTrust(below, []), false, "the API trusts no CA");
  const whole = { ...below, issuers: [root.certificate] };
  assert.equal(findClientTrust(whole, [below.certificate]), true, "the API trusts only the CA");
  assert.equal(findClientTrust(whole, [other.certificate]), false, "nothing is above its root");
});

test("decideClientTrust() trusts what is unknown for Kubernetes' own signers only", () => {
  const decide = (signerName: string) => [true, false, undefined].map((known) => decideClientTrust(signerName, known));
  assert.deepEqual(decide("example.com/x"), ["trusted", "distrusted", "unknown"]);
  assert.deepEqual(decide("kubernetes.io/kubelet-serving"), ["trusted", "distrusted", "distrusted"]);
});
