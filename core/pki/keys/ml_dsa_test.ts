import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, verify, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { createSeededRandom } from "../../../tests/support/seeded_random.ts";
import { ML_DSA_VECTORS } from "../../../tests/support/ml_dsa_vectors.ts";
import { issueTestCertificate, planTestLeaf, unwrap } from "../../../tests/support/test_authority.ts";
import { decodeBase64 } from "../../lib/encodings.ts";
import { createAuthority } from "../authority/authority.ts";
import { verifyCertificateSignature } from "../x509/certificate.ts";
import { type Bytes, DerReader, TAG } from "../asn1/der.ts";
import { encodeOctetString, encodeOid, encodeSequence } from "../asn1/der_writer.ts";
import { decryptPrivateKey, encryptPrivateKey } from "./encrypted_key.ts";
import { createCaKey, generatePrivateKey, ML_DSA_KEY_ALGORITHMS, parsePrivateKey, type PrivateKey } from "./keys.ts";
import { ML_DSA_NAMES, type MlDsaName } from "./key_names.ts";
import { hasMlDsa, ML_DSA, NO_ML_DSA } from "./ml_dsa.ts";
import { encodePem } from "../asn1/pem.ts";
import { createCertificationRequest, parseCertificationRequest, verifyRequestSignature } from "../x509/pkcs10.ts";

const UNIMPLEMENTED = "x509: cannot verify signature: algorithm unimplemented";
/** The error of a runtime without ML-DSA in place of a verification. */
const NOT_VERIFIED = `x509: cannot verify signature: ${NO_ML_DSA}`;

function decode(base64: string): Bytes {
  return decodeBase64(base64) ?? new Uint8Array(0);
}

function readVector(name: MlDsaName): { readonly pem: string; readonly request: Bytes } {
  const vector = ML_DSA_VECTORS.find((one) => one.name === name);
  assert.ok(vector !== undefined);
  return { pem: encodePem("PRIVATE KEY", decode(vector.privateKey)), request: decode(vector.request) };
}

/** Runs a check with a key if the runtime has ML-DSA, or else asserts that the key is refused. */
async function withKey(name: MlDsaName, check: (key: PrivateKey, pem: string) => void | Promise<void>): Promise<void> {
  const { pem } = readVector(name);
  const key = parsePrivateKey(pem);
  if (hasMlDsa()) return await check(unwrap(key), pem);
  assert.deepEqual(key, { ok: false, error: `cannot use a key of ${name}: ${NO_ML_DSA}` });
}

for (const { name, oid, publicKeyBytes } of ML_DSA) {
  test(`parseCertificationRequest() reads Go's request for ${name}, which only allowMlDsa verifies`, () => {
    const facts = unwrap(parseCertificationRequest(readVector(name).request));
    assert.deepEqual(
      [facts.keyAlgorithm, facts.keyBits, facts.signatureAlgorithm, facts.subject.commonName, facts.dnsNames],
      [name, publicKeyBytes * 8, name, "system:node:n1", ["n1.example.org"]],
    );
    assert.deepEqual(verifyRequestSignature(facts), { ok: false, error: UNIMPLEMENTED });
    const verified = verifyRequestSignature(facts, { allowMlDsa: true });
    assert.deepEqual(verified, hasMlDsa() ? { ok: true, value: true } : { ok: false, error: NOT_VERIFIED });
  });

  test(`parsePrivateKey() reads Go's key of ${name}, and keeps it as a seed, also encrypted`, async () => {
    await withKey(name, async (key, pem) => {
      assert.deepEqual([key.algorithm, key.bits, key.toPem()], [name, publicKeyBytes * 8, pem]);
      assert.deepEqual(key.publicKeyDer(), unwrap(parseCertificationRequest(readVector(name).request)).publicKeyDer);
      const encrypted = await encryptPrivateKey(key, "a passphrase", createSeededRandom(1), 1_000);
      assert.deepEqual(await decryptPrivateKey(encrypted, "a passphrase"), { ok: true, value: pem });
    });
  });

  test(`parsePrivateKey() reads the longer forms of a key of ${name}, and keeps one without a seed unchanged`, async () => {
    await withKey(name, (key, pem) => {
      const both = new Uint8Array(createPrivateKey(pem).export({ format: "der", type: "pkcs8" }));
      assert.equal(unwrap(parsePrivateKey(encodePem("PRIVATE KEY", both))).toPem(), pem);
      // `both` is a SEQUENCE of the seed and the expanded key (RFC 9881 §6).
      const info = new DerReader(both).enter(TAG.sequence, "PrivateKeyInfo");
      const head = [info.read(TAG.integer, "version").raw, info.read(TAG.sequence, "algorithm").raw];
      const halves = new DerReader(info.read(TAG.octetString, "privateKey").content).enter(TAG.sequence, "both");
      halves.read(TAG.octetString, "seed");
      const expanded = encodeSequence(...head, encodeOctetString(halves.read(TAG.octetString, "expandedKey").raw));
      const seedless = unwrap(parsePrivateKey(encodePem("PRIVATE KEY", expanded)));
      assert.deepEqual(seedless.publicKeyDer(), key.publicKeyDer());
      assert.equal(seedless.toPem(), encodePem("PRIVATE KEY", expanded));
    });
  });

  test(`createCertificationRequest() signs with ${name}, as OpenSSL agrees`, async () => {
    await withKey(name, (key) => {
      const facts = unwrap(
        parseCertificationRequest(createCertificationRequest({ subject: { commonName: "n" } }, key)),
      );
      assert.deepEqual(verifyRequestSignature(facts, { allowMlDsa: true }), { ok: true, value: true });
      const publicKey = createPublicKey({ key: Buffer.from(facts.publicKeyDer), format: "der", type: "spki" });
      assert.equal(publicKey.asymmetricKeyType, name.toLowerCase());
      assert.ok(verify(null, facts.signedDer, publicKey, facts.signature));
    });
  });

  test(`createAuthority() makes a CA with ${name}, without key encipherment (RFC 9881 §3)`, async () => {
    await withKey(name, async (key) => {
      const serial = new Uint8Array([1]);
      const [notBefore, notAfter] = [new Date("2026-01-01T00:00:00Z"), new Date("2030-01-01T00:00:00Z")];
      const authority = await createAuthority({ commonName: "ca", notBefore, notAfter, key, serial });
      assert.deepEqual(authority.certificate.keyUsages, ["digitalSignature", "keyCertSign", "cRLSign"]);
      assert.equal(authority.certificate.signatureAlgorithm, name);
      const leaf = await issueTestCertificate(authority, planTestLeaf(await generatePrivateKey("ecdsa-p256")));
      assert.equal(verifyCertificateSignature(leaf, authority.certificate), true);
      assert.equal(verifyCertificateSignature(authority.certificate, leaf), false);
      const issuer = new X509Certificate(Buffer.from(authority.certificate.der));
      assert.ok(new X509Certificate(Buffer.from(leaf.der)).verify(issuer.publicKey));
      await assert.rejects(createCaKey(key).sign(new Uint8Array(1), "Ed25519"), { code: "key_invalid" });
    });
  });

  const request = Buffer.from(readVector(name).request);
  const edited = (at: number, byte: number): Bytes => new Uint8Array(request.with(at, byte));
  const oidBytes = encodeOid(oid);
  const [other = ""] = ML_DSA_NAMES.filter((one) => one !== name);
  const otherEnd = name === "ML-DSA-44" ? 0x12 : 0x11;
  for (
    const { what, der, want } of [
      {
        what: "another signature",
        der: edited(request.length - 100, (request.at(-100) ?? 0) ^ 1),
        want: "x509: ML-DSA verification failure: mldsa: invalid signature",
      },
      {
        what: "a signature that names another parameter set",
        der: edited(request.lastIndexOf(oidBytes) + oidBytes.length - 1, otherEnd),
        want: `x509: signature algorithm specifies an ML-DSA public key with ${other} parameters, but have a ` +
          `public key with ${name} parameters`,
      },
      {
        what: "a key that names another parameter set",
        der: edited(request.indexOf(oidBytes) + oidBytes.length - 1, otherEnd),
        want: `x509: signature algorithm specifies an ML-DSA public key with ${name} parameters, but have a public ` +
          `key with ${other} parameters`,
      },
    ]
  ) {
    // The messages are those of Go 1.27, except that it reports the wrong length of the last key while it parses.
    test(`verifyRequestSignature() refuses ${what}: ${name}`, () => {
      const facts = unwrap(parseCertificationRequest(der));
      const isVerified = want.includes("verification failure") && !hasMlDsa();
      const error = isVerified ? NOT_VERIFIED : want;
      assert.deepEqual(verifyRequestSignature(facts, { allowMlDsa: true }), { ok: false, error });
      assert.deepEqual(verifyRequestSignature(facts), { ok: false, error: UNIMPLEMENTED });
    });
  }
}

for (const algorithm of ML_DSA_KEY_ALGORITHMS) {
  test(`generatePrivateKey() makes ${algorithm} or names the runtimes that can`, async () => {
    const name = algorithm.toUpperCase();
    if (hasMlDsa()) return assert.equal((await generatePrivateKey(algorithm)).algorithm, name);
    const message = `cannot make a key of ${name}: ${NO_ML_DSA}`;
    await assert.rejects(generatePrivateKey(algorithm), { code: "key_invalid", message });
  });
}
