import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import "reflect-metadata";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import fc from "../../../tests/support/properties.ts";
import { buildRsaRequest } from "../../../tests/support/crafted_rsa.ts";
import { listElements } from "../../../tests/support/odd_certificate.ts";
import {
  FULL_REQUEST,
  REQUEST_VECTORS,
  SECP256K1_REQUEST,
  verdictHere,
} from "../../../tests/support/request_vectors.ts";
import { unwrap } from "../../../tests/support/test_authority.ts";
import { encodeOctetString, encodeOid, encodeSequence, encodeValue } from "../asn1/der_writer.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../keys/keys.ts";
import { decodeBase64 } from "../../lib/encodings.ts";
import { parsePemBlocks } from "../asn1/pem.ts";
import { findSignatureFaultInBackground } from "../keys/signature.ts";
import {
  createCertificationRequest,
  parseCertificationRequest,
  toSignedBytes,
  verifyRequestSignature,
} from "./pkcs10.ts";

function decodeBytes(base64: string): Uint8Array<ArrayBuffer> {
  const bytes = decodeBase64(base64);
  assert.ok(bytes !== undefined);
  return bytes;
}

for (const vector of REQUEST_VECTORS) {
  const verdict = verdictHere(vector);
  test(`verifyRequestSignature() returns ${verdict}, as findSignatureFaultInBackground() does: ${vector.name}`, async () => {
    const facts = unwrap(parseCertificationRequest(decodeBytes(vector.base64)));
    const result = verifyRequestSignature(facts);
    assert.equal(result.ok ? "good" : result.error, verdict);
    const fault = await findSignatureFaultInBackground(toSignedBytes(facts, {}));
    assert.equal(fault?.message ?? "good", verdict);
  });
}

test("verifyRequestSignature() verifies with an RSA key of 7680 bits on Node, and reports on Deno that it cannot", () => {
  const pem = new TextDecoder().decode(decodeBytes(buildRsaRequest(7_680)));
  const result = verifyRequestSignature(unwrap(parseCertificationRequest(parsePemBlocks(pem)[0]!.bytes)));
  assert.deepEqual(
    result,
    !("Deno" in globalThis)
      ? { ok: true, value: true }
      : { ok: false, error: "x509: cannot verify signature: Deno refuses this RSA key" },
  );
});

for (
  const { key, want } of [
    { key: "P-256, SHA-256", want: "x509: ECDSA verification failure" },
    { key: "P-521, SHA-256", want: "x509: ECDSA verification failure" },
    { key: "P-384, SHA-1", want: "x509: ECDSA verification failure" },
    { key: "RSA-2048, SHA-256", want: "crypto/rsa: verification error" },
    { key: "RSA-2048, PSS with SHA-256", want: "crypto/rsa: verification error" },
    { key: "Ed25519", want: "x509: Ed25519 verification failure" },
  ]
) {
  test(`verifyRequestSignature() returns ${want} for a changed signature, also aside: ${key}`, async () => {
    const vector = REQUEST_VECTORS.find(({ name }) => name === key)!;
    const der = decodeBytes(vector.base64);
    der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
    const here = verdictHere(vector);
    const error = here === "good" ? want : here;
    const facts = unwrap(parseCertificationRequest(der));
    assert.deepEqual(verifyRequestSignature(facts), { ok: false, error });
    assert.equal((await findSignatureFaultInBackground(toSignedBytes(facts, {})))?.message, error);
  });
}

test("verifyRequestSignature() reports a key and an algorithm of different kinds", () => {
  const der = decodeBytes(REQUEST_VECTORS.find(({ name }) => name === "P-256, SHA-256")?.base64 ?? "");
  const facts = unwrap(parseCertificationRequest(der));
  const algorithm = { name: "SHA256-RSA", keyAlgorithm: "RSA", hash: "sha256", isPss: false } as const;
  assert.deepEqual(verifyRequestSignature({ ...facts, algorithm }), {
    ok: false,
    error: "x509: signature algorithm specifies an RSA public key, but have public key of type *ecdsa.PublicKey",
  });
});

test("verifyRequestSignature() refuses a signature with an unused bit, as Go does", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  // Every other signature ends with a bit that can be declared unused; for one request Deno always makes the same.
  const names = Array.from({ length: 64 }, (_, index) => `n${index}`);
  const requests = names.map((commonName) => createCertificationRequest({ subject: { commonName } }, key));
  const der = requests.find((request) => (request.at(-1)! & 1) === 0)!;
  const { signature } = unwrap(parseCertificationRequest(der));
  der[der.length - signature.length - 1] = 1;
  const want = { ok: false, error: "x509: ECDSA verification failure" };
  assert.deepEqual(verifyRequestSignature(unwrap(parseCertificationRequest(der))), want);
});

test("parseCertificationRequest() reads every part of a full request", () => {
  const facts = unwrap(parseCertificationRequest(decodeBytes(FULL_REQUEST)));
  assert.equal(facts.subject.commonName, "system:node:n1");
  assert.deepEqual(facts.subject.organizations, ["system:nodes", "a-org"]);
  assert.deepEqual(facts.subject.localities, ["München"]);
  assert.deepEqual(facts.subject.otherAttributes.map(({ value }) => value), ["a@b.c", "me"]);
  assert.deepEqual(facts.dnsNames, ["a.example", "*.b.example"]);
  assert.deepEqual(facts.emailAddresses, ["x@y.z"]);
  assert.deepEqual(facts.ipAddresses, ["10.0.0.1", "fe80::1:0:0:1"]);
  assert.deepEqual(facts.uris, ["https://User@host.example:80/p%20q?x=1", "urn:a:b"]);
  assert.equal(facts.otherNames, 2);
  assert.deepEqual(facts.requestedExtensions.map(({ oid, critical }) => [oid, critical]), [
    ["2.5.29.17", false],
    ["2.5.29.15", true],
    ["2.5.29.19", true],
  ]);
  assert.deepEqual([facts.keyAlgorithm, facts.keyBits, facts.signatureAlgorithm], ["ECDSA", 256, "ECDSA-SHA256"]);
  assert.ok(Object.isFrozen(facts) && Object.isFrozen(facts.dnsNames) && Object.isFrozen(facts.requestedExtensions));
});

function nest(depth: number): Uint8Array<ArrayBuffer> {
  let value = new Uint8Array(0);
  for (let level = 0; level < depth; level++) value = encodeSequence(value);
  return value;
}

const plain = decodeBytes(REQUEST_VECTORS.find(({ name }) => name === "P-256, SHA-256")?.base64 ?? "");

for (
  const { name, der, error } of [
    { name: "no bytes", der: new Uint8Array(0), error: /^asn1: syntax error: sequence truncated$/ },
    { name: "an extra byte", der: Uint8Array.of(...plain, 0), error: /^asn1: syntax error: trailing data$/ },
    { name: "a missing byte", der: plain.slice(0, -1), error: /^asn1: syntax error: data truncated$/ },
    { name: "an indefinite length", der: Uint8Array.of(0x30, 0x80, 0, 0), error: /indefinite length found/ },
    { name: "10,000 nested sequences", der: nest(10_000), error: /^asn1: (structure|syntax) error: / },
    { name: "an octet string", der: encodeValue(4, plain), error: /^asn1: structure error: tags don't match \(16 vs / },
    { name: "secp256k1", der: decodeBytes(SECP256K1_REQUEST), error: /^x509: unsupported elliptic curve$/ },
  ]
) {
  test(`parseCertificationRequest() refuses ${name}`, () => {
    const result = parseCertificationRequest(der);
    assert.match(result.ok ? "accepted" : result.error, error);
  });
}

const extension = (oid: string) => encodeSequence(encodeOid(oid), encodeOctetString(new Uint8Array(1)));
const attribute = (oid: string, ...values: readonly Uint8Array[]) =>
  encodeSequence(encodeOid(oid), encodeValue(0x31, ...values));
const REQUESTED = "1.2.840.113549.1.9.14";
const [one, two] = ["1.2.3", "1.2.4"].map((oid) => encodeSequence(extension(oid)));
assert.ok(one !== undefined && two !== undefined);
for (
  const { name, attributes, want } of [
    { name: "two attributes", attributes: [attribute(REQUESTED, one), attribute(REQUESTED, two)], want: "1.2.3,1.2.4" },
    { name: "the first of two values", attributes: [attribute(REQUESTED, one, two)], want: "1.2.3" },
    {
      name: "an extension twice",
      attributes: [attribute(REQUESTED, one), attribute(REQUESTED, one)],
      want: "x509: certificate request contains duplicate requested extensions",
    },
    { name: "another attribute", attributes: [attribute("1.2.840.113549.1.9.7", one)], want: "" },
    { name: "an attribute without a value", attributes: [attribute(REQUESTED)], want: "" },
    { name: "a second value that is cut off", attributes: [attribute(REQUESTED, one, one.slice(0, -1))], want: "" },
  ]
) {
  test(`parseCertificationRequest() reads the requested extensions: ${name}`, () => {
    const [signed, ...rest] = listElements(plain);
    const parts = [...listElements(signed!).slice(0, 3), encodeValue(0xa0, ...attributes)];
    const parsed = parseCertificationRequest(encodeSequence(encodeSequence(...parts), ...rest));
    assert.equal(parsed.ok ? parsed.value.requestedExtensions.map(({ oid }) => oid).join() : parsed.error, want);
  });
}

test("parseCertificationRequest() refuses a point that is not on its curve", () => {
  const der = plain.slice();
  const { publicKeyDer } = unwrap(parseCertificationRequest(plain));
  const end = publicKeyDer.byteOffset - plain.byteOffset + publicKeyDer.length - 1;
  der[end] = (der[end] ?? 0) ^ 1;
  assert.deepEqual(parseCertificationRequest(der), { ok: false, error: "P256 point not on curve" });
});

test("parseCertificationRequest() skips an unknown attribute 10,000 levels deep", async () => {
  const der = createCertificationRequest({ subject: {} }, await generatePrivateKey("ed25519"));
  const facts = unwrap(parseCertificationRequest(der));
  const [version, subject] = [Uint8Array.of(2, 1, 0), Uint8Array.of(0x30, 0)];
  const body = encodeSequence(version, subject, facts.publicKeyDer, encodeValue(0xa0, nest(10_000)));
  const rest = der.subarray(der.length - 7 - 67);
  assert.ok(parseCertificationRequest(encodeSequence(body, rest)).ok);
});

test("parseCertificationRequest() never throws, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    parseCertificationRequest(new Uint8Array(bytes));
  }));
  const full = decodeBytes(FULL_REQUEST);
  const edit = fc.tuple(fc.nat({ max: full.length - 1 }), fc.nat({ max: 255 }));
  fc.assert(fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
    const der = full.slice();
    for (const [at, value] of edits) der[at] = value;
    parseCertificationRequest(der);
  }));
});

const algorithms: readonly { readonly key: KeyAlgorithm; readonly want: string }[] = [
  { key: "ecdsa-p256", want: "ECDSA-SHA256" },
  { key: "ecdsa-p384", want: "ECDSA-SHA384" },
  { key: "ecdsa-p521", want: "ECDSA-SHA512" },
  { key: "rsa-2048", want: "SHA256-RSA" },
  { key: "rsa-3072", want: "SHA384-RSA" },
  { key: "ed25519", want: "Ed25519" },
];

for (const { key: algorithm, want } of algorithms) {
  test(`createCertificationRequest() signs with ${want} for ${algorithm}`, async () => {
    const key = await generatePrivateKey(algorithm);
    const names = {
      dnsNames: ["n1.example"],
      ipAddresses: ["10.0.0.1", "::1"],
      emailAddresses: ["a@b.c"],
      uris: ["spiffe://x/y"],
    };
    const subject = { commonName: "system:node:n1", organizations: ["system:nodes"] };
    const facts = unwrap(parseCertificationRequest(createCertificationRequest({ subject, ...names }, key)));
    assert.deepEqual(verifyRequestSignature(facts), { ok: true, value: true });
    assert.equal(facts.signatureAlgorithm, want);
    assert.equal(facts.subject.commonName, subject.commonName);
    assert.deepEqual(facts.subject.organizations, subject.organizations);
    assert.deepEqual(
      {
        dnsNames: facts.dnsNames,
        ipAddresses: facts.ipAddresses,
        emailAddresses: facts.emailAddresses,
        uris: facts.uris,
      },
      names,
    );
    createPublicKey({ key: Buffer.from(facts.publicKeyDer), format: "der", type: "spki" });
  });
}

test("createCertificationRequest() writes a request that @peculiar/x509 reads and verifies", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  const subject = { commonName: "system:node:n1", organizations: ["system:nodes"] };
  const request = new Pkcs10CertificateRequest(createCertificationRequest({ subject, dnsNames: ["n1"] }, key));
  assert.equal(request.subject, "O=system:nodes, CN=system:node:n1");
  assert.ok(request.getExtension("2.5.29.17"));
  assert.ok(await request.verify());
});

test("createCertificationRequest() has no attributes without names", async () => {
  const key = await generatePrivateKey("ed25519");
  const facts = unwrap(parseCertificationRequest(createCertificationRequest({ subject: { commonName: "x" } }, key)));
  assert.deepEqual([...facts.signedDer.subarray(-2)], [0xa0, 0]);
});

test("createCertificationRequest() refuses names that cannot be encoded", async () => {
  const key = await generatePrivateKey("ed25519");
  assert.throws(() => createCertificationRequest({ subject: {}, dnsNames: ["münchen"] }, key), { code: "invalid" });
  assert.throws(() => createCertificationRequest({ subject: {}, ipAddresses: ["10.0.0"] }, key), { code: "invalid" });
});

test("parseCertificationRequest() reads tens of thousands of attributes, each once", async () => {
  const der = createCertificationRequest({ subject: {} }, await generatePrivateKey("ecdsa-p256"));
  const facts = unwrap(parseCertificationRequest(der));
  const attributes = Array.from({ length: 60_000 }, (_, index) => {
    const extension = encodeSequence(encodeOid(`1.2.${index}`), encodeOctetString(new Uint8Array(0)));
    return encodeSequence(encodeOid("1.2.840.113549.1.9.14"), encodeValue(0x31, encodeSequence(extension)));
  });
  const [version, subject] = [Uint8Array.of(2, 1, 0), Uint8Array.of(0x30, 0)];
  const body = encodeSequence(version, subject, facts.publicKeyDer, encodeValue(0xa0, ...attributes));
  const rest = der.subarray(der.length - facts.signature.length - 15);
  const parsed = unwrap(parseCertificationRequest(encodeSequence(body, rest)));
  assert.equal(parsed.requestedExtensions.length, 60_000);
});
