import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, sharedKey } from "../../tests/support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { encodePem, findPemBlock } from "../pki/asn1/pem.ts";
import {
  classifyDuration,
  decideRenewal,
  findCertificateFault,
  findIssuedFault,
  findLeafCertificate,
  type RenewalOptions,
  type RenewalVerdict,
  type RequestedCertificate,
  type RequestedCredentials,
} from "./issued_certificate.ts";
import { createIssuingCa, type TestCertificate } from "../../tests/support/issuing_ca.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";

const ca = await createSigningCa();
const { certificate: { notBefore, notAfter } } = ca;
const CA = encodePem("CERTIFICATE", ca.certificate.der);
const LEAF = await issueClientCertificate(ca, notBefore, notAfter);
const NAME = findLeafCertificate(encodeBase64(LEAF))?.subject.commonName;
const CUT = encodePem("CERTIFICATE", ca.certificate.der.slice(0, 100));

for (
  const { name, pem, fault, leaf } of [
    { name: "a leaf", pem: LEAF, fault: undefined, leaf: NAME },
    { name: "a chain", pem: LEAF + CA, fault: undefined, leaf: NAME },
    { name: "text around blocks", pem: `before\n${CA}between\n${LEAF}after`, fault: undefined, leaf: "test-ca" },
    { name: "a hundred certificates", pem: LEAF + CA.repeat(99), fault: undefined, leaf: NAME },
    {
      name: "a hundred certificates and one",
      pem: LEAF + CA.repeat(100),
      fault: "too many certificates: limit is 100",
      leaf: NAME,
    },
    { name: "no block", pem: "text", fault: "must contain at least one CERTIFICATE PEM block", leaf: undefined },
    {
      name: "another label",
      pem: LEAF.replaceAll("CERTIFICATE", "THING"),
      fault: 'only CERTIFICATE PEM blocks are allowed, found "THING"',
      leaf: NAME,
    },
    {
      name: "another label after the leaf",
      pem: LEAF + CA.replaceAll("CERTIFICATE", "THING"),
      fault: 'only CERTIFICATE PEM blocks are allowed, found "THING"',
      leaf: NAME,
    },
    {
      name: "headers",
      pem: LEAF.replace("-----\n", "-----\nA: b\n\n"),
      fault: "no PEM block headers are permitted",
      leaf: NAME,
    },
    {
      name: "nothing in the block",
      pem: encodePem("CERTIFICATE", new Uint8Array()),
      fault: "found CERTIFICATE PEM block containing 0 certificates",
      leaf: undefined,
    },
    { name: "half a certificate", pem: CUT, fault: "x509: malformed certificate", leaf: undefined },
    { name: "half a certificate after the leaf", pem: LEAF + CUT, fault: "x509: malformed certificate", leaf: NAME },
  ]
) {
  test(`findCertificateFault() and findLeafCertificate() return the same each time: ${name}`, () => {
    const certificate = encodeBase64(pem);
    for (let time = 0; time < 3; time++) {
      assert.equal(findCertificateFault(certificate), fault);
      assert.equal(findLeafCertificate(certificate)?.subject.commonName, leaf);
    }
  });
}

test("findLeafCertificate() parses a text once, also after the validation, and evicts old texts", () => {
  const certificate = encodeBase64(`cached\n${LEAF}`);
  assert.equal(findCertificateFault(certificate), undefined);
  const leaf = findLeafCertificate(certificate);
  assert.equal(findLeafCertificate(certificate), leaf);
  for (let other = 0; other < 1_000; other++) findLeafCertificate(encodeBase64(`${other}\n${CUT}`));
  assert.notEqual(findLeafCertificate(certificate), leaf);
  assert.deepEqual(findLeafCertificate(certificate), leaf);
});

test("findLeafCertificate() does not cache long texts", () => {
  const certificate = encodeBase64(`${"x".repeat(10_000)}\n${LEAF}`);
  assert.notEqual(findLeafCertificate(certificate), findLeafCertificate(certificate));
});

const HOUR = 3600;

const NOW = new Date("2026-11-25T12:00:00Z");

// The upstream integration test: signing duration 24 h, seven requests with a lifetime, of which six get what they
// requested.
for (
  const { requested, given, want } of [
    { requested: undefined, given: 24 * HOUR, want: "unrequested" },
    { requested: 24 * HOUR, given: 24 * HOUR, want: "honored" },
    { requested: 48 * HOUR, given: 24 * HOUR, want: "ignored" },
    { requested: 20 * HOUR, given: 20 * HOUR, want: "honored" },
    { requested: 10 * HOUR, given: 10 * HOUR, want: "honored" },
    { requested: 2 * HOUR, given: 2 * HOUR + 300, want: "honored" },
    { requested: 1800, given: 2100, want: "honored" },
    { requested: 600, given: 900, want: "honored" },
    { requested: 600, given: 931, want: "ignored" },
  ] as const
) {
  test(`classifyDuration() calls ${given} s for ${requested} s ${want}`, async () => {
    const ca = await createSigningCa();
    const notAfter = new Date(NOW.getTime() + given * 1000);
    const certificate = encodeBase64(await issueClientCertificate(ca, NOW, notAfter));
    const csr = await buildCsr({ certificate, ...(requested === undefined ? {} : { expirationSeconds: requested }) });
    assert.equal(classifyDuration(csr), want);
  });
}

test("classifyDuration() ignores a certificate that cannot be read", async () => {
  assert.equal(classifyDuration(await buildCsr({ expirationSeconds: 600, certificate: "AAAA" })), "unrequested");
  assert.equal(classifyDuration(await buildCsr({ expirationSeconds: 600 })), "unrequested");
});

const subject = { commonName: "web", organizations: ["a", "b"], organizationalUnits: ["x"] };
const asked: RequestedCertificate = {
  subject,
  dnsNames: ["web.example.com"],
  ipAddresses: ["10.0.0.1", "::1"],
  usages: ["digital signature", "server auth"],
};

async function issued(edit: Partial<TestCertificate> = {}): Promise<CertificateFacts> {
  const { dnsNames = [], ipAddresses = [], usages = [] } = asked;
  const ca = await createIssuingCa(NOW);
  const publicKeyDer = (await sharedKey()).publicKeyDer();
  const pem = await ca.issue({ publicKeyDer, subject, dnsNames, ipAddresses, usages, ...edit });
  const leaf = parseCertificate(findPemBlock(pem)?.block.bytes ?? assert.fail());
  assert.ok(leaf.ok);
  return leaf.value;
}

const cases: readonly {
  name: string;
  edit?: Partial<TestCertificate>;
  asked?: Partial<RequestedCertificate>;
  want?: RegExp;
}[] = [
  { name: "the requested contents" },
  { name: "more names", edit: { dnsNames: ["other", "WEB.example.com"] } },
  { name: "more organizations", edit: { subject: { ...subject, organizations: ["c", "b", "a"] } } },
  { name: "more usages", edit: { usages: ["digital signature", "key encipherment", "client auth", "server auth"] } },
  { name: "an address in another spelling", asked: { ipAddresses: ["0:0:0::1"] } },
  { name: "no extension for purposes", edit: { usages: ["digital signature"] } },
  { name: "any purpose", edit: { usages: ["digital signature", "any"] } },
  { name: "another common name", edit: { subject: { ...subject, commonName: "www" } }, want: /it is for "CN=www/ },
  {
    name: "a missing organization",
    edit: { subject: { ...subject, organizations: ["a"] } },
    want: /but the request was for "CN=web/,
  },
  { name: "a missing unit", edit: { subject: { ...subject, organizationalUnits: [] } }, want: /it is for/ },
  { name: "a missing serial number", asked: { subject: { ...subject, serialNumber: "7" } }, want: /it is for/ },
  { name: "no DNS name", edit: { dnsNames: [] }, want: /^it lacks web\.example\.com$/ },
  { name: "a missing address", edit: { ipAddresses: ["10.0.0.1"] }, want: /^it lacks ::1$/ },
  { name: "no URI", asked: { uris: ["spiffe://a/b"] }, want: /^it lacks spiffe:\/\/a\/b$/ },
  { name: "no address", asked: { emailAddresses: ["a@b"] }, want: /^it lacks a@b$/ },
  {
    name: "another purpose",
    edit: { usages: ["digital signature", "client auth"] },
    want: /^it lacks the usage "server auth"$/,
  },
  {
    name: "a missing usage bit",
    edit: { usages: ["key encipherment", "server auth"] },
    want: /^it lacks the usage "digital signature"$/,
  },
];
for (const { name, edit, asked: more, want } of cases) {
  test(`findIssuedFault() ${want === undefined ? "accepts" : "refuses"} a certificate with ${name}`, async () => {
    const fault = findIssuedFault(await issued(edit), { ...asked, ...more });
    if (want === undefined) assert.equal(fault, undefined);
    else assert.match(fault ?? "", want);
  });
}

const later = { isForced: false, renewBeforeMs: HOUR * 1_000 };
const renewals: readonly {
  name: string;
  existing?: "none" | "unusable";
  edit?: Partial<TestCertificate>;
  asked?: Partial<RequestedCredentials>;
  options: RenewalOptions;
  want: RenewalVerdict["kind"];
  reason?: RegExp;
}[] = [
  { name: "no certificate", existing: "none", options: { isForced: false }, want: "request", reason: /none yet/ },
  { name: "an existing certificate", options: { isForced: false }, want: "exists" },
  { name: "an existing broken certificate", existing: "unusable", options: { isForced: false }, want: "exists" },
  { name: "force", options: { isForced: true }, want: "request" },
  {
    name: "a broken certificate, with renewal",
    existing: "unusable",
    options: later,
    want: "request",
    reason: /broken/,
  },
  { name: "a valid certificate", options: later, want: "keep" },
  {
    name: "a certificate that ends in exactly that time",
    edit: { notAfter: new Date(NOW.getTime() + HOUR * 1_000) },
    options: later,
    want: "request",
    reason: /it expires at 2026-11-25T13:00:00Z/,
  },
  {
    name: "an expired certificate",
    edit: { notAfter: new Date(NOW.getTime() - 1000) },
    options: later,
    want: "request",
    reason: /it expired at/,
  },
  {
    name: "another name requested",
    asked: { dnsNames: ["www"] },
    options: later,
    want: "request",
    reason: /it lacks www/,
  },
  { name: "the same kind of key requested", asked: { key: "ecdsa-p256" }, options: later, want: "keep" },
  {
    name: "another kind of key requested",
    asked: { key: "rsa-2048" },
    options: later,
    want: "request",
    reason: /its key is ecdsa-p256, but the request was for rsa-2048/,
  },
  {
    name: "another key requested",
    asked: { key: Uint8Array.of(1) },
    options: later,
    want: "request",
    reason: /another key/,
  },
];
for (const { name, existing, edit, asked: more, options, want, reason } of renewals) {
  test(`decideRenewal() returns ${want} for ${name}`, async () => {
    const found = existing === "none"
      ? { kind: "none" as const }
      : existing === "unusable"
      ? { kind: "unusable" as const, reason: "broken" }
      : { kind: "usable" as const, leaf: await issued(edit) };
    const verdict = decideRenewal(found, { ...asked, ...more }, options, NOW);
    assert.equal(verdict.kind, want);
    if (reason !== undefined) assert.match(verdict.kind === "request" ? verdict.reason : "", reason);
  });
}
