import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, toBase64 } from "../../tests/support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import { classifyDuration, findCertificateFault, findLeafCertificate } from "./issued_certificate.ts";

const ca = await createSigningCa();
const { certificate: { notBefore, notAfter } } = ca;
const CA = encodePem("CERTIFICATE", ca.certificate.der);
const LEAF = await issueClientCertificate(ca, notBefore, notAfter);
const NAME = findLeafCertificate(toBase64(LEAF))?.subject.commonName;
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
      name: "another label behind the leaf",
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
    { name: "half a certificate behind the leaf", pem: LEAF + CUT, fault: "x509: malformed certificate", leaf: NAME },
  ]
) {
  test(`findCertificateFault() and findLeafCertificate() return the same each time: ${name}`, () => {
    const certificate = toBase64(pem);
    for (let time = 0; time < 3; time++) {
      assert.equal(findCertificateFault(certificate), fault);
      assert.equal(findLeafCertificate(certificate)?.subject.commonName, leaf);
    }
  });
}

test("findLeafCertificate() parses a text once, also after the validation, and evicts old texts", () => {
  const certificate = toBase64(`cached\n${LEAF}`);
  assert.equal(findCertificateFault(certificate), undefined);
  const leaf = findLeafCertificate(certificate);
  assert.equal(findLeafCertificate(certificate), leaf);
  for (let other = 0; other < 1_000; other++) findLeafCertificate(toBase64(`${other}\n${CUT}`));
  assert.notEqual(findLeafCertificate(certificate), leaf);
  assert.deepEqual(findLeafCertificate(certificate), leaf);
});

test("findLeafCertificate() does not cache long texts", () => {
  const certificate = toBase64(`${"x".repeat(10_000)}\n${LEAF}`);
  assert.notEqual(findLeafCertificate(certificate), findLeafCertificate(certificate));
});

const HOUR = 3600;

const NOW = new Date("2026-11-25T12:00:00Z");

// The upstream integration test: signing duration 24 h, seven requests that ask, six that get what they requested.
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
    const certificate = toBase64(await issueClientCertificate(ca, NOW, notAfter));
    const csr = await buildCsr({ certificate, ...(requested === undefined ? {} : { expirationSeconds: requested }) });
    assert.equal(classifyDuration(csr), want);
  });
}

test("classifyDuration() ignores a certificate that cannot be read", async () => {
  assert.equal(classifyDuration(await buildCsr({ expirationSeconds: 600, certificate: "AAAA" })), "unrequested");
  assert.equal(classifyDuration(await buildCsr({ expirationSeconds: 600 })), "unrequested");
});
