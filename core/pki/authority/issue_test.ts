import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import {
  createIntermediate,
  createTestAuthority,
  hoursFromNow,
  issueTestCertificate,
  planTestLeaf,
  unwrap,
} from "../../../tests/support/test_authority.ts";
import { parseAuthority, parseAuthorityCertificate } from "./authority.ts";
import { encodeIssued } from "./issue.ts";
import {
  chainNotAfter,
  encodeTrust,
  findAuthorityFault,
  findRootDamage,
  isSelfSigned,
  parseAuthorityChain,
  parseCaBundle,
} from "../x509/ca_bundle.ts";
import { encodeOddCertificate } from "../../../tests/support/odd_certificate.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { type PlannedExtension, planRevocationLists } from "../x509/certificate_extensions.ts";
import { encodeNull } from "../asn1/der_writer.ts";
import { encodePem } from "../asn1/pem.ts";
import { hasMlDsa } from "../keys/ml_dsa.ts";

const root = createTestAuthority("ecdsa-p256", { commonName: "root" });
const upper = root.then((issuer) => createIntermediate(issuer, "upper", { maxPathLength: 1 }));
const lower = upper.then((issuer) => createIntermediate(issuer, "lower"));

function names(pem: string): string {
  return unwrap(parseCaBundle(pem)).map(({ subject }) => subject.commonName).join(" < ");
}

async function issuedBy(certificatesPem: string, keyPem: string): Promise<string> {
  const authority = unwrap(await parseAuthority(certificatesPem, keyPem));
  const leaf = await issueTestCertificate(authority, planTestLeaf((await root).privateKey));
  return names(encodeIssued(leaf.der, authority));
}

test("encodeIssued() appends the intermediates to the leaf, without the root", async () => {
  const [{ certificatePem: top, privateKey: topKey }, one, two] = await Promise.all([root, upper, lower]);
  const renewed = await createIntermediate(await root, "root");
  const files = [
    { pem: renewed.certificatePem, key: renewed.privateKey, want: "system:node:n1 < root" },
    { pem: renewed.certificatePem + top, key: renewed.privateKey, want: "system:node:n1 < root" },
    { pem: top, key: topKey, want: "system:node:n1" },
    { pem: one.certificatePem, key: one.privateKey, want: "system:node:n1 < upper" },
    { pem: one.certificatePem + top, key: one.privateKey, want: "system:node:n1 < upper" },
    { pem: two.certificatePem + one.certificatePem, key: two.privateKey, want: "system:node:n1 < lower < upper" },
    {
      pem: two.certificatePem + one.certificatePem + top,
      key: two.privateKey,
      want: "system:node:n1 < lower < upper",
    },
  ];
  for (const { pem, key, want } of files) assert.equal(await issuedBy(pem, key.toPem()), want);
});

test("encodeIssued() appends as many certificates to the leaf as the caller requests", async () => {
  const authority = await lower;
  const { der } = authority.certificate;
  assert.equal(names(encodeIssued(der, authority, false)), "lower");
  assert.equal(names(encodeIssued(der, { ...authority, intermediates: [] }, true)), "lower < lower < upper");
  assert.equal(names(encodeIssued(der, { ...authority, intermediates: [] })), "lower");
});

test("issueCertificate() marks CA:FALSE as critical, and names the list of the CA unless the plan names one", async () => {
  const authority = { ...await root, crlUrl: "http://ca.example/own.crl" };
  const issue = async (extensions: readonly PlannedExtension[]) =>
    Buffer.from((await issueTestCertificate(authority, planTestLeaf(authority.privateKey, { extensions }))).der);
  const note = { oid: "1.2.3.4", critical: false, value: encodeNull() };
  const [noted, listed] = [await issue([note]), await issue([planRevocationLists(["http://ca.example/other.crl"])])];
  for (const der of [noted, listed]) assert.ok(der.includes(Buffer.from("0603551d130101ff04023000", "hex")));
  assert.ok(noted.includes("http://ca.example/own.crl"));
  assert.ok(!listed.includes("http://ca.example/own.crl") && listed.includes("http://ca.example/other.crl"));
});

test("findAuthorityFault() accepts a CA without key usages, but not one with an unknown critical extension", async () => {
  const { certificate } = await createIntermediate(await root, "any", { usages: [] });
  assert.equal(findAuthorityFault(certificate), undefined);
  const unknown = { ...certificate, unknownCriticalExtensions: ["1.2.3"] };
  assert.equal(findAuthorityFault(unknown), "the certificate has an unknown critical extension (1.2.3)");
});

test("findRootDamage() and isSelfSigned() verify the signature of a root, also with SHA-1, but of no other CA", async () => {
  const { privateKey: key } = await root;
  const [notBefore, notAfter] = [hoursFromNow(-1), hoursFromNow(1)];
  const names = { subject: "root", issuer: "root", version: 1, serial: Uint8Array.of(1), extensions: [] } as const;
  const der = encodeOddCertificate({ ...names, key, signer: key, notBefore, notAfter, isSha1: true });
  const old = unwrap(parseCertificate(der));
  const damaged = unwrap(parseCertificate(der.with(-1, der.at(-1)! ^ 1)));
  assert.deepEqual([isSelfSigned(old), findRootDamage(old)], [true, undefined]);
  assert.equal(isSelfSigned(damaged), false);
  assert.match(findRootDamage(damaged) ?? "", /^its signature is not by its own key/);
  if (hasMlDsa()) assert.equal(isSelfSigned((await createTestAuthority("ml-dsa-44")).certificate), true);
  const { authorityKeyId: _, ...unidentified } = (await upper).certificate;
  assert.equal(findRootDamage(unidentified), undefined);
});

test("parseAuthorityCertificate() reads an intermediate without its issuers", async () => {
  const authority = unwrap(parseAuthorityCertificate((await upper).certificatePem));
  assert.deepEqual([authority.issuers, authority.intermediates], [[], []]);
});

test("encodeTrust() returns the CA with all certificates above it in its file", async () => {
  assert.equal(names(encodeTrust(await lower)), "lower < upper < root");
  assert.equal(names(encodeTrust(await root)), "root");
  assert.equal(names(encodeTrust(await lower, await upper)), "lower < upper < root");
});

test("chainNotAfter() is the end of the certificate that ends first", async () => {
  const short = await createTestAuthority("ecdsa-p256", { notAfter: hoursFromNow(2) });
  const long = await createIntermediate(short, "long", { notAfter: hoursFromNow(9) });
  assert.deepEqual(chainNotAfter(long), hoursFromNow(2));
  assert.deepEqual(chainNotAfter(await lower), hoursFromNow(1));
});

test("parseAuthorityChain() refuses certificates that are not a chain, and names the wrong one", async () => {
  const [top, one, two] = await Promise.all([root, upper, lower]);
  const impostor = await createTestAuthority("ecdsa-p256", { commonName: "root" });
  const leaf = await createIntermediate(top, "leaf", { isCa: false });
  const idle = await createIntermediate(top, "idle", { usages: ["crl sign"] });
  const tight = await createIntermediate(top, "tight", { maxPathLength: 0 });
  const below = await createIntermediate(tight, "below");
  const renewed = await createIntermediate(tight, "tight");
  const cases: readonly (readonly [name: string, chain: readonly { readonly certificatePem: string }[], RegExp])[] = [
    ["nothing", [], /^must contain at least one CERTIFICATE PEM block$/],
    [
      "the root first",
      [top, one],
      /^certificate 1 "CN=root" signed itself, so 2 "CN=upper" after it is not its issuer$/,
    ],
    ["a gap", [two, top], /^certificate 2 "CN=root" did not issue 1 "CN=lower": put the CA first/],
    ["the wrong order", [one, two, top], /^certificate 2 "CN=lower" did not issue 1 "CN=upper"/],
    ["a root of the same name", [two, one, impostor], /^certificate 3 "CN=root" did not issue 2 "CN=upper"/],
    ["the same twice", [one, one, top], /^certificate 2 "CN=upper" did not issue 1 "CN=upper"/],
    ["a path in which a CA has renewed itself", [renewed, tight, top], /^accepted$/],
    ["no CA", [leaf, top], /^the certificate is not a CA/],
    ["a CA that may not sign", [idle, top], /^the certificate may not sign certificates/],
    [
      "a path that is too long",
      [below, tight, top],
      /^certificate 2 "CN=tight": its path length 0 does not allow the 1 CA before it$/,
    ],
  ];
  for (const [name, chain, want] of cases) {
    const parsed = parseAuthorityChain(chain.map(({ certificatePem }) => certificatePem).join(""));
    assert.match(parsed.ok ? "accepted" : parsed.error, want, name);
  }
});

test("parseAuthority() refuses a root with any changed byte, except in its names", async () => {
  const { certificate, privateKey } = await createTestAuthority("ecdsa-p256", { commonName: "root" });
  let renamed = 0;
  for (let at = 0; at < certificate.der.length; at++) {
    const der = Uint8Array.from(certificate.der);
    der[at]! ^= 1 << (at % 8);
    const parsed = await parseAuthority(encodePem("CERTIFICATE", der), privateKey.toPem());
    if (!parsed.ok) continue;
    const { subject, issuer } = parsed.value.certificate;
    // It is then a CA with an unknown issuer.
    assert.notDeepEqual(subject.raw, issuer.raw, `byte ${at}`);
    renamed++;
  }
  assert.ok(renamed < 30, `${renamed} bytes of names`);
});

test("parseAuthority() refuses the key of another certificate of its chain", async () => {
  const pem = (await upper).certificatePem + (await root).certificatePem;
  const parsed = await parseAuthority(pem, (await root).privateKey.toPem());
  assert.deepEqual(parsed, { ok: false, error: "private key does not match public key" });
});
