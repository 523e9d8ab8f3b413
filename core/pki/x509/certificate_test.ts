import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import "reflect-metadata";
import { X509Certificate as OracleCertificate } from "@peculiar/x509";
import fc from "../../../tests/support/properties.ts";
import { listElements } from "../../../tests/support/odd_certificate.ts";
import { FULL_REQUEST, REQUEST_VECTORS } from "../../../tests/support/request_vectors.ts";
import {
  createTestAuthority,
  hoursFromNow,
  issueTestCertificate,
  NOW,
  planTestLeaf,
  unwrap,
} from "../../../tests/support/test_authority.ts";
import { parseCertificate, parseCertificates, verifyCertificateSignature } from "./certificate.ts";
import { parseExtensions } from "./certificate_extensions.ts";
import { TAG } from "../asn1/der.ts";
import {
  encodeBitString,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeTrue,
  encodeValue,
} from "../asn1/der_writer.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../keys/keys.ts";
import { decodeBase64 } from "../../lib/encodings.ts";
import { parseCertificationRequest } from "./pkcs10.ts";
import { type CertificatePlan, issueCertificate } from "../authority/issue.ts";

const authorities: readonly { readonly algorithm: KeyAlgorithm; readonly want: string }[] = [
  { algorithm: "ecdsa-p256", want: "ECDSA-SHA256" },
  { algorithm: "ecdsa-p384", want: "ECDSA-SHA384" },
  { algorithm: "ecdsa-p521", want: "ECDSA-SHA512" },
  { algorithm: "rsa-2048", want: "SHA256-RSA" },
  { algorithm: "ed25519", want: "Ed25519" },
];

for (const { algorithm, want } of authorities) {
  test(`issueCertificate() signs with ${want}, and node:crypto and @peculiar/x509 agree: ${algorithm} CA`, async () => {
    const authority = await createTestAuthority(algorithm);
    const leaf = await issueTestCertificate(authority, planTestLeaf(await generatePrivateKey("ecdsa-p256")));
    assert.equal(leaf.signatureAlgorithm, want);
    assert.equal(verifyCertificateSignature(leaf, authority.certificate), true);
    assert.equal(verifyCertificateSignature(authority.certificate, authority.certificate), true);
    assert.equal(verifyCertificateSignature(authority.certificate, leaf), false);

    const native = new X509Certificate(Buffer.from(leaf.der));
    assert.equal(native.fingerprint256.replaceAll(":", "").toLowerCase(), leaf.sha256Fingerprint);
    assert.equal(native.subject, "O=system:nodes\nCN=system:node:n1");
    assert.equal(native.ca, false);
    assert.equal(new X509Certificate(Buffer.from(authority.certificate.der)).ca, true);

    const oracle = new OracleCertificate(leaf.der);
    assert.equal(oracle.serialNumber, leaf.serialNumber);
    assert.deepEqual([oracle.notBefore, oracle.notAfter], [leaf.notBefore, leaf.notAfter]);
    assert.equal(oracle.issuer, "CN=kubernetes");
    assert.deepEqual(new Uint8Array(oracle.publicKey.rawData), leaf.publicKeyDer);
    const publicKey = new OracleCertificate(authority.certificate.der).publicKey;
    assert.ok(await oracle.verify({ publicKey, signatureOnly: true }));
  });
}

test("issueCertificate() makes the certificate of the conformance list (L.9)", async () => {
  const authority = await createTestAuthority("rsa-2048");
  const usages = ["signing", "key encipherment", "server auth", "client auth"];
  const leaf = await issueTestCertificate(authority, planTestLeaf(await generatePrivateKey("ecdsa-p256"), { usages }));
  assert.equal(leaf.version, 3);
  assert.equal(leaf.subject.commonName, "system:node:n1");
  assert.deepEqual(leaf.subject.organizations, ["system:nodes"]);
  assert.deepEqual(leaf.keyUsages, ["digitalSignature", "keyEncipherment"]);
  assert.deepEqual(leaf.extendedKeyUsages, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.deepEqual([leaf.isCa, leaf.maxPathLength], [false, undefined]);
  assert.deepEqual(leaf.notBefore, new Date(NOW.getTime() - 300_000));
  assert.deepEqual(leaf.notAfter, hoursFromNow(1));
  assert.equal(leaf.signatureAlgorithm, "SHA256-RSA");
  assert.deepEqual(leaf.issuer.raw, authority.certificate.subject.raw);
  assert.equal(leaf.authorityKeyId, authority.certificate.subjectKeyId);
  assert.equal(leaf.subjectKeyId, undefined);
  assert.ok(Object.isFrozen(leaf));
});

test("issueCertificate() takes names and key from a request, but none of its extensions", async () => {
  const der = decodeBase64(FULL_REQUEST);
  assert.ok(der !== undefined);
  const request = unwrap(parseCertificationRequest(der));
  const authority = await createTestAuthority();
  const plan = planTestLeaf(authority.privateKey, {
    subject: request.subject,
    publicKeyDer: request.publicKeyDer,
    dnsNames: request.dnsNames,
    emailAddresses: request.emailAddresses,
    ipAddresses: request.ipAddresses,
    uris: request.uris,
    usages: ["client auth"],
  });
  const leaf = await issueTestCertificate(authority, plan);
  assert.equal(leaf.isCa, false);
  assert.deepEqual(leaf.keyUsages, []);
  assert.deepEqual(leaf.dnsNames, ["a.example", "*.b.example"]);
  assert.deepEqual(leaf.emailAddresses, ["x@y.z"]);
  assert.deepEqual(leaf.ipAddresses, ["10.0.0.1", "fe80::1:0:0:1"]);
  assert.deepEqual(leaf.uris, request.uris);
  assert.deepEqual(leaf.subject.otherAttributes, []);
  assert.deepEqual(leaf.subject.organizations, ["a-org", "system:nodes"]);
  assert.deepEqual(leaf.publicKeyDer, request.publicKeyDer);
});

for (const { name, base64 } of REQUEST_VECTORS.filter(({ verdict }) => verdict === "good")) {
  test(`issueCertificate() certifies the key of ${name}`, async () => {
    const request = unwrap(parseCertificationRequest(decodeBase64(base64) ?? new Uint8Array(0)));
    const authority = await createTestAuthority();
    const plan = planTestLeaf(authority.privateKey, { publicKeyDer: request.publicKeyDer });
    const leaf = await issueTestCertificate(authority, plan);
    assert.deepEqual([leaf.keyAlgorithm, leaf.keyBits], [request.keyAlgorithm, request.keyBits]);
  });
}

test("issueCertificate() marks names critical when the subject is empty, and only then", async () => {
  const authority = await createTestAuthority();
  const plan = planTestLeaf(authority.privateKey, { subject: {}, dnsNames: ["a"] });
  const read = async (edit: object): Promise<boolean | undefined> =>
    new OracleCertificate(await issueCertificate({ ...plan, ...edit }, authority, Uint8Array.of(1)))
      .getExtension("2.5.29.17")?.critical;
  assert.equal(await read({}), true);
  assert.equal(await read({ subject: { commonName: "x" } }), false);
  assert.equal(await read({ dnsNames: [] }), undefined);
});

test("issueCertificate() writes extensions in Go's order, the critical ones marked", async () => {
  const authority = await createTestAuthority();
  const plan = planTestLeaf(authority.privateKey, { isCa: true, maxPathLength: 0, usages: ["cert sign", "any"] });
  const leaf = await issueTestCertificate(authority, { ...plan, dnsNames: ["a"] });
  assert.deepEqual(Array.from(new OracleCertificate(leaf.der).extensions, ({ type, critical }) => [type, critical]), [
    ["2.5.29.15", true],
    ["2.5.29.37", false],
    ["2.5.29.19", true],
    ["2.5.29.14", false],
    ["2.5.29.35", false],
    ["2.5.29.17", false],
  ]);
  assert.deepEqual([leaf.isCa, leaf.maxPathLength], [true, 0]);
});

test("issueCertificate() omits usages that were not requested, and the issuer's key id for its own name", async () => {
  const authority = await createTestAuthority();
  const plan = planTestLeaf(authority.privateKey, { usages: [], subject: { commonName: "kubernetes" } });
  const leaf = await issueTestCertificate(authority, plan);
  assert.deepEqual(Array.from(new OracleCertificate(leaf.der).extensions, ({ type }) => type), ["2.5.29.19"]);
  const otherKey = (await generatePrivateKey("ecdsa-p256")).publicKeyDer();
  const identified = async (edit: Partial<CertificatePlan>) =>
    (await issueTestCertificate(authority, { ...plan, ...edit })).authorityKeyId;
  assert.equal(await identified({ isCa: true }), undefined);
  assert.equal(await identified({ publicKeyDer: otherKey }), undefined);
  assert.equal(await identified({ publicKeyDer: otherKey, isCa: true }), authority.certificate.subjectKeyId);
});

for (
  const { serial, want } of [
    { serial: new Uint8Array(16), want: "00" },
    { serial: new Uint8Array(16).fill(0xff), want: "ff".repeat(16) },
    { serial: Uint8Array.of(0, 0, 0x12, 0x34), want: "1234" },
  ]
) {
  test(`issueCertificate() writes the serial number ${want}`, async () => {
    const authority = await createTestAuthority();
    const leaf = await issueTestCertificate(authority, planTestLeaf(authority.privateKey), serial);
    assert.equal(leaf.serialNumber, want);
  });
}

for (
  const { name, edit, message } of [
    {
      name: "unknown usages",
      edit: { usages: ["a", "client auth", "b"] },
      message: 'unrecognized usage values: ["a" "b"]',
    },
    { name: "a path length without a CA", edit: { maxPathLength: 1 }, message: /only a CA may have a path length/ },
    { name: "a DNS name that is not ASCII", edit: { dnsNames: ["ü"] }, message: /cannot encode DNS name "ü"/ },
    { name: "a malformed IP address", edit: { ipAddresses: ["1.2.3"] }, message: /cannot encode IP address/ },
  ]
) {
  test(`issueCertificate() refuses ${name}`, async () => {
    const authority = await createTestAuthority();
    const plan = planTestLeaf(authority.privateKey, edit);
    await assert.rejects(issueCertificate(plan, authority, Uint8Array.of(1)), { code: "invalid", message });
  });
}

const POINTS = "2.5.29.31";
const ACCESS = "1.3.6.1.5.5.7.1.1";
const uriName = encodeValue(0x86, new TextEncoder().encode("http://h/"));
const inName = (...parts: readonly Uint8Array[]) => encodeValue(0xa0, ...parts);
/** An element without its content. */
const CUT = Uint8Array.of(0x86, 5);
const otherName = encodeSequence(encodeValue(0x88, Uint8Array.of(42)));
const method = encodeOid("1.3.6.1.5.5.7.48.1");
for (
  const { name, oid, value, critical = false, unknown = 0, want } of [
    { name: "a distribution point", oid: POINTS, value: encodeSequence(encodeSequence(inName(inName(uriName)))) },
    { name: "a critical one", oid: POINTS, value: encodeSequence(encodeSequence()), critical: true },
    { name: "no list of points", oid: POINTS, value: uriName, want: "invalid CRL distribution points" },
    { name: "no point", oid: POINTS, value: encodeSequence(uriName), want: "invalid CRL distribution point" },
    {
      name: "a point without a full name",
      oid: POINTS,
      value: encodeSequence(encodeSequence(inName(uriName))),
      want: "invalid CRL distribution point",
    },
    { name: "an access", oid: ACCESS, value: encodeSequence(encodeSequence(method, uriName)) },
    {
      name: "a critical access",
      oid: ACCESS,
      value: encodeSequence(),
      critical: true,
      want: "authority info access incorrectly marked critical",
    },
    {
      name: "an access without a method",
      oid: ACCESS,
      value: encodeSequence(encodeSequence(uriName)),
      want: "invalid authority info access",
    },
    {
      name: "an access whose URI is cut off",
      oid: ACCESS,
      value: encodeSequence(encodeSequence(method, CUT)),
      want: "invalid authority info access",
    },
    { name: "an access without a location", oid: ACCESS, value: encodeSequence(encodeSequence(method)) },
    {
      name: "a point whose URI is cut off",
      oid: POINTS,
      value: encodeSequence(encodeSequence(inName(inName(CUT)))),
      want: "invalid CRL distribution point",
    },
    {
      name: "a critical identifier of the issuer's key",
      oid: "2.5.29.35",
      value: encodeSequence(),
      critical: true,
      want: "authority key identifier incorrectly marked critical",
    },
    {
      name: "a critical identifier of the key",
      oid: "2.5.29.14",
      value: encodeOctetString(CUT),
      critical: true,
      want: "subject key identifier incorrectly marked critical",
    },
    {
      name: "a negative path length",
      oid: "2.5.29.19",
      value: encodeSequence(encodeTrue(), encodeValue(2, Uint8Array.of(255))),
      want: "invalid basic constraints",
    },
    { name: "critical usages", oid: "2.5.29.37", value: encodeSequence(method), critical: true },
    { name: "a critical name", oid: "2.5.29.17", value: encodeSequence(uriName), critical: true },
    {
      name: "a critical name of a kind that has no field",
      oid: "2.5.29.17",
      value: otherName,
      critical: true,
      unknown: 1,
    },
    { name: "no list of accesses", oid: ACCESS, value: method, want: "invalid authority info access" },
  ]
) {
  test(`parseExtensions() ${want === undefined ? "accepts" : "refuses"} ${name}, as Go does`, () => {
    const flag = critical ? [encodeTrue()] : [];
    const list = encodeSequence(encodeOid(oid), ...flag, encodeOctetString(value));
    if (want === undefined) assert.equal(parseExtensions(list).unknownCriticalExtensions.length, unknown);
    else assert.throws(() => parseExtensions(list), { message: `x509: ${want}` });
  });
}

test("parseExtensions() refuses an extension that occurs twice", () => {
  const one = encodeSequence(encodeOid("1.2.3"), encodeOctetString(CUT));
  const message = 'x509: certificate contains duplicate extension with OID "1.2.3"';
  assert.throws(() => parseExtensions(Uint8Array.of(...one, ...one)), { message });
});

const integer = (value: number) => encodeValue(TAG.integer, Uint8Array.of(value));
const [VERSION, SERIAL, VALIDITY, KEY] = [0, 1, 4, 6];
for (
  const { name, at, parts, want } of [
    { name: "version 1", at: VERSION, parts: [inName(integer(0))], want: "1 false" },
    { name: "version 4", at: VERSION, parts: [inName(integer(3))], want: "x509: invalid version" },
    { name: "a negative version", at: VERSION, parts: [inName(integer(255))], want: "x509: malformed version" },
    { name: "two versions", at: VERSION, parts: [inName(integer(2), integer(2))], want: "x509: malformed version" },
    { name: "a negative serial number", at: SERIAL, parts: [integer(255)], want: "x509: negative serial number" },
    {
      name: "numbers as dates",
      at: VALIDITY,
      parts: [encodeSequence(integer(1), integer(2))],
      want: "x509: unsupported time format",
    },
    { name: "no key", at: KEY, parts: [encodeSequence()], want: "x509: malformed spki" },
    {
      name: "an RSA key without parameters",
      at: KEY,
      parts: [encodeSequence(encodeSequence(encodeOid("1.2.840.113549.1.1.1")), encodeBitString(CUT))],
      want: "x509: RSA key missing NULL parameters",
    },
  ]
) {
  test(`parseCertificate() finds "${want}" in a certificate with ${name}`, async () => {
    const [signed, ...rest] = listElements((await createTestAuthority()).certificate.der);
    assert.ok(signed !== undefined);
    const edited = listElements(signed).flatMap((part, index) => index === at ? parts : [part]);
    const parsed = parseCertificate(encodeSequence(encodeSequence(...edited), ...rest));
    assert.equal(parsed.ok ? `${parsed.value.version} ${parsed.value.isCa}` : parsed.error, want);
  });
}

test("parseCertificate() reads the extensions after the unique identifiers", async () => {
  const [signed, ...rest] = listElements((await createTestAuthority()).certificate.der);
  const parts = listElements(signed!);
  const unique = [0x81, 0x82].map((tag) => encodeValue(tag, Uint8Array.of(0, 1)));
  const edited = [...parts.slice(0, -1), ...unique, ...parts.slice(-1)];
  assert.equal(unwrap(parseCertificate(encodeSequence(encodeSequence(...edited), ...rest))).isCa, true);
});

test("parseCertificate() refuses broken certificates, and never throws", async () => {
  const { certificate } = await createTestAuthority();
  const { der } = certificate;
  const error = (bytes: Uint8Array<ArrayBuffer>): string | undefined => {
    const result = parseCertificate(bytes);
    return result.ok ? undefined : result.error;
  };
  assert.equal(error(der), undefined);
  assert.equal(error(Uint8Array.of(...der, 0)), "x509: trailing data");
  assert.equal(error(der.slice(0, -1)), "x509: malformed certificate");
  assert.equal(error(Uint8Array.of(0x30, 0x80, 0, 0)), "x509: malformed certificate");
  assert.equal(error(new Uint8Array(0)), "x509: malformed certificate");
  let deep = encodeSequence();
  for (let level = 0; level < 10_000; level++) deep = encodeSequence(deep);
  assert.match(error(deep) ?? "", /^x509: malformed/);

  const edit = fc.tuple(fc.nat({ max: der.length - 1 }), fc.nat({ max: 255 }));
  fc.assert(fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
    const changed = der.slice();
    for (const [at, value] of edits) changed[at] = value;
    const result = parseCertificate(changed);
    // A change may hit the signature only; then it no longer verifies.
    if (result.ok) verifyCertificateSignature(result.value, certificate);
  }));
});

test("parseCertificates() reads any number of certificates, also none", async () => {
  const { certificate } = await createTestAuthority();
  const two = Uint8Array.of(...certificate.der, ...certificate.der);
  assert.equal(unwrap(parseCertificates(two)).length, 2);
  assert.equal(unwrap(parseCertificates(new Uint8Array(0))).length, 0);
  assert.deepEqual(parseCertificate(two), { ok: false, error: "x509: trailing data" });
});
