// Certificates of random plans are read by @peculiar/x509 and node:crypto, which must find the same facts as our
// reader.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  CRLDistributionPointsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509Certificate as OracleCertificate,
} from "@peculiar/x509";
import fc from "../../../tests/support/properties.ts";
import { KEY_USAGE_BITS } from "./usages.ts";
import { KEY_USAGES } from "../../kube/kinds/constants.ts";
import { createTestAuthority, planTestLeaf, unwrap } from "../../../tests/support/test_authority.ts";
import { parseCertificate } from "./certificate.ts";
import { createCertificationRequest, parseCertificationRequest } from "./pkcs10.ts";
import type { AlternativeNames } from "./subject_alternative_names.ts";
import { planRevocationLists } from "./certificate_extensions.ts";
import { type CertificatePlan, issueCertificate } from "../authority/issue.ts";

const text = fc.string({ unit: fc.constantFrom(..."aZ09 '()+,-./:=?äЖ漢@*&_\"#;<>\\"), minLength: 1, maxLength: 80 });
const label = fc.string({ unit: fc.constantFrom(..."abcxyz019-"), minLength: 1, maxLength: 63 });
const names = fc.record({
  dnsNames: fc.array(fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join(".")), {
    maxLength: 4,
  }),
  ipAddresses: fc.array(fc.constantFrom("10.0.0.1", "0.0.0.0", "2001:db8::1", "::1", "fe80::1:2:3"), { maxLength: 3 }),
  emailAddresses: fc.array(label.map((name) => `${name}@example.org`), { maxLength: 2 }),
  uris: fc.array(label.map((name) => `spiffe://example.org/${name}`), { maxLength: 2 }),
});
const subject = fc.record({
  commonName: text,
  organizations: fc.array(text, { maxLength: 3 }),
  organizationalUnits: fc.array(text, { maxLength: 2 }),
  serialNumber: text,
}, { requiredKeys: [] });
const usages = fc.uniqueArray(fc.constantFrom(...KEY_USAGES), { maxLength: 6 });
/** 1951 to 2149: both forms of time, to the second. */
const moment = fc.integer({ min: -599_616_000, max: 5_648_745_600 }).map((seconds) => new Date(seconds * 1_000));
const serials = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Uint8Array.from(bytes));

test("issueCertificate() writes certificates that two other readers and our own read alike, for any plan", async () => {
  const root = await createTestAuthority();
  const plans = fc.record({ names, subject, usages, notBefore: moment, notAfter: moment, serial: serials });
  await fc.assert(fc.asyncProperty(plans, async ({ names, subject, serial, ...rest }) => {
    const plan = { ...planTestLeaf(root.privateKey), ...names, ...rest, subject };
    const der = await issueCertificate(plan, root, serial);
    const facts = unwrap(parseCertificate(der));
    const oracle = new OracleCertificate(der);
    const native = new X509Certificate(Buffer.from(der));

    assert.equal(BigInt(`0x0${oracle.serialNumber}`), BigInt(`0x0${facts.serialNumber}`));
    assert.equal(BigInt(`0x0${native.serialNumber}`), BigInt(`0x0${facts.serialNumber}`));
    assert.deepEqual([oracle.notBefore, oracle.notAfter], [facts.notBefore, facts.notAfter]);
    assert.deepEqual([facts.notBefore, facts.notAfter], [plan.notBefore, plan.notAfter]);
    assert.equal(new Date(native.validTo).getTime(), facts.notAfter.getTime());
    assert.deepEqual(
      oracle.subjectName.getField("CN"),
      facts.subject.commonName === "" ? [] : [plan.subject.commonName],
    );
    assert.deepEqual(oracle.subjectName.getField("O"), facts.subject.organizations);
    assert.deepEqual([...facts.subject.organizations].sort(), [...subject.organizations ?? []].sort());
    assert.deepEqual(oracle.subjectName.getField("OU"), facts.subject.organizationalUnits);
    assert.deepEqual(new Uint8Array(oracle.publicKey.rawData), facts.publicKeyDer);
    assert.deepEqual(listNames(oracle.getExtension(SubjectAlternativeNameExtension)), sorted(facts));
    assert.deepEqual(sorted(facts), sorted(plan));
    const flags = oracle.getExtension(KeyUsagesExtension)?.usages ?? 0;
    assert.deepEqual(facts.keyUsages, KEY_USAGE_BITS.filter((bit) => (flags & FLAG_OF[bit]) !== 0));
    assert.deepEqual([...oracle.getExtension(ExtendedKeyUsageExtension)?.usages ?? []], facts.extendedKeyUsages);
    assert.equal(oracle.getExtension(BasicConstraintsExtension)?.ca, false);
    assert.equal(native.verify(new X509Certificate(Buffer.from(root.certificate.der)).publicKey), true);
  }));
});

test("issueCertificate() adds the CRL URL of the CA to every certificate whose plan has no other", async () => {
  const root = { ...await createTestAuthority(), crlUrl: "http://pki.example.com/ca.crl" };
  const plan = planTestLeaf(root.privateKey);
  const other = { ...plan, extensions: [planRevocationLists(["http://pki.example.com/web.crl", "ldap://a/b"])] };
  const readUrls = async (plan: CertificatePlan) => {
    const certificate = new OracleCertificate(await issueCertificate(plan, root, Uint8Array.of(2)));
    const { distributionPoints = [] } = certificate.getExtension(CRLDistributionPointsExtension) ?? {};
    return [...distributionPoints].map(({ distributionPoint }) =>
      [...distributionPoint?.fullName ?? []].map(({ uniformResourceIdentifier }) => uniformResourceIdentifier)
    );
  };
  assert.deepEqual(await readUrls(plan), [["http://pki.example.com/ca.crl"]]);
  assert.deepEqual(await readUrls(other), [["http://pki.example.com/web.crl"], ["ldap://a/b"]]);
});

test("createCertificationRequest() writes requests that @peculiar/x509 and our own reader read alike, for any names", async () => {
  const { privateKey } = await createTestAuthority();
  await fc.assert(fc.asyncProperty(names, subject, async (names, subject) => {
    const der = createCertificationRequest({ subject, ...names }, privateKey);
    const facts = unwrap(parseCertificationRequest(der));
    const oracle = new Pkcs10CertificateRequest(der);
    const requested = oracle.extensions.find((one) => one instanceof SubjectAlternativeNameExtension);
    assert.deepEqual(listNames(requested), sorted(facts));
    assert.deepEqual(sorted(facts), sorted(names));
    assert.deepEqual(oracle.subjectName.getField("O"), facts.subject.organizations);
    assert.deepEqual(new Uint8Array(oracle.publicKey.rawData), facts.publicKeyDer);
    assert.deepEqual(new Uint8Array(oracle.signature), facts.signature);
    assert.ok(await oracle.verify());
  }));
});

const FLAG_OF: Readonly<Record<(typeof KEY_USAGE_BITS)[number], number>> = {
  digitalSignature: KeyUsageFlags.digitalSignature,
  contentCommitment: KeyUsageFlags.nonRepudiation,
  keyEncipherment: KeyUsageFlags.keyEncipherment,
  dataEncipherment: KeyUsageFlags.dataEncipherment,
  keyAgreement: KeyUsageFlags.keyAgreement,
  keyCertSign: KeyUsageFlags.keyCertSign,
  cRLSign: KeyUsageFlags.cRLSign,
  encipherOnly: KeyUsageFlags.encipherOnly,
  decipherOnly: KeyUsageFlags.decipherOnly,
};

const KIND_OF: Readonly<Record<string, keyof AlternativeNames>> = {
  dns: "dnsNames",
  ip: "ipAddresses",
  email: "emailAddresses",
  url: "uris",
};

function listNames(extension: SubjectAlternativeNameExtension | null | undefined): readonly string[] {
  return (extension?.names.items ?? []).map(({ type, value }) => `${KIND_OF[type] ?? type} ${value}`).sort();
}

function sorted(names: AlternativeNames): readonly string[] {
  return Object.values(KIND_OF).flatMap((kind) => names[kind].map((name) => `${kind} ${name}`)).sort();
}
