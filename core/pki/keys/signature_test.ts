import { strict as assert } from "node:assert";
import { constants, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { type Bytes, contextTag } from "../asn1/der.ts";
import { encodeNull, encodeOid, encodeSequence, encodeSmallInteger, encodeValue } from "../asn1/der_writer.ts";
import { generatePrivateKey } from "./keys.ts";
import { hasMlDsa, ML_DSA } from "./ml_dsa.ts";
import { parsePublicKey } from "./public_key.ts";
import {
  encodeSignatureAlgorithm,
  findSignatureFault,
  findSignatureFaultInBackground,
  isValidSignature,
  parseSignatureAlgorithm,
  type SignedBytes,
} from "./signature.ts";

const UNIMPLEMENTED = "x509: cannot verify signature: algorithm unimplemented";
const HASH_OID = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
};
const DATA = new TextEncoder().encode("data");

/** The parameters of RSASSA-PSS (RFC 4055 §3.1) with the values of SHA-256, and one change. */
function encodePss(
  { hash = "sha256", maskHash = hash, mask = "1.2.840.113549.1.1.8", salt = 32, trailer, parameters = [encodeNull()] }:
    {
      readonly hash?: keyof typeof HASH_OID;
      readonly maskHash?: keyof typeof HASH_OID;
      readonly mask?: string;
      readonly salt?: number;
      readonly trailer?: number;
      /** The parameters of both hashes. */
      readonly parameters?: readonly Bytes[];
    },
): Bytes {
  const encodeHash = (name: keyof typeof HASH_OID) => encodeSequence(encodeOid(HASH_OID[name]), ...parameters);
  return encodeSequence(
    encodeValue(contextTag(0, true), encodeHash(hash)),
    encodeValue(contextTag(1, true), encodeSequence(encodeOid(mask), encodeHash(maskHash))),
    encodeValue(contextTag(2, true), encodeSmallInteger(salt)),
    ...(trailer === undefined ? [] : [encodeValue(contextTag(3, true), encodeSmallInteger(trailer))]),
  );
}

const PSS = encodeOid("1.2.840.113549.1.1.10");
const ED25519 = encodeOid("1.3.101.112");

for (
  const { what, content, want } of [
    { what: "PSS with SHA-256", content: [PSS, encodePss({})], want: "SHA256-RSAPSS" },
    { what: "PSS with SHA-384", content: [PSS, encodePss({ hash: "sha384", salt: 48 })], want: "SHA384-RSAPSS" },
    { what: "PSS with SHA-512", content: [PSS, encodePss({ hash: "sha512", salt: 64 })], want: "SHA512-RSAPSS" },
    {
      what: "PSS whose hashes have no parameters",
      content: [PSS, encodePss({ parameters: [] })],
      want: "SHA256-RSAPSS",
    },
    { what: "PSS with the default trailer", content: [PSS, encodePss({ trailer: 1 })], want: "SHA256-RSAPSS" },
    { what: "PSS with another trailer", content: [PSS, encodePss({ trailer: 2 })], want: undefined },
    { what: "PSS with another mask", content: [PSS, encodePss({ mask: "1.2.3" })], want: undefined },
    { what: "PSS with another hash of the mask", content: [PSS, encodePss({ maskHash: "sha384" })], want: undefined },
    { what: "PSS with a longer salt", content: [PSS, encodePss({ salt: 48 })], want: undefined },
    {
      what: "PSS whose hashes have numbers as parameters",
      content: [PSS, encodePss({ parameters: [encodeSmallInteger(1)] })],
      want: undefined,
    },
    { what: "PSS with malformed parameters", content: [PSS, encodeNull()], want: undefined },
    { what: "PSS without parameters", content: [PSS], want: undefined },
    { what: "Ed25519", content: [ED25519], want: "Ed25519" },
    { what: "Ed25519 with parameters", content: [ED25519, encodeNull()], want: undefined },
    { what: "an OID that Go does not know", content: [encodeOid("1.2.3")], want: undefined },
  ]
) {
  test(`parseSignatureAlgorithm() reads ${what} as ${want ?? "unknown"}`, () => {
    const { name, keyAlgorithm } = parseSignatureAlgorithm(new Uint8Array(content.flatMap((value) => [...value])));
    assert.equal(keyAlgorithm === "unknown" ? undefined : name, want);
  });
}

test("encodeSignatureAlgorithm() writes NULL parameters for RSA alone (RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3)", () => {
  const oid = (dotted: string, ...more: readonly Bytes[]) => encodeSequence(encodeOid(dotted), ...more);
  assert.deepEqual(encodeSignatureAlgorithm("SHA256-RSA"), oid("1.2.840.113549.1.1.11", encodeNull()));
  assert.deepEqual(encodeSignatureAlgorithm("ECDSA-SHA256"), oid("1.2.840.10045.4.3.2"));
  assert.deepEqual(encodeSignatureAlgorithm("Ed25519"), oid("1.3.101.112"));
});

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsaFacts = parsePublicKey(new Uint8Array(rsa.publicKey.export({ format: "der", type: "spki" })));

/** Plans the verification of an RSASSA-PSS signature. */
function planPss(hash: keyof typeof HASH_OID, saltLength: number, signature: Bytes): SignedBytes {
  const algorithm = parseSignatureAlgorithm(new Uint8Array([...PSS, ...encodePss({ hash, salt: saltLength })]));
  return { algorithm, key: rsaFacts, data: DATA, signature, allowSha1: false, allowMlDsa: false };
}

for (const [hash, saltLength] of [["sha256", 32], ["sha384", 48], ["sha512", 64]] as const) {
  test(`findSignatureFault() accepts RSASSA-PSS with ${hash} and a salt of ${saltLength} bytes, and no other`, async () => {
    const make = (salt: number, padding = constants.RSA_PKCS1_PSS_PADDING) =>
      new Uint8Array(sign(hash, DATA, { key: rsa.privateKey, padding, saltLength: salt }));
    const failure = { kind: "invalid", message: "crypto/rsa: verification error" };
    for (
      const [signature, want] of [
        [make(saltLength), undefined],
        [make(20), failure],
        [make(saltLength, constants.RSA_PKCS1_PADDING), failure],
        [new Uint8Array(3), failure],
      ] as const
    ) {
      const signed = planPss(hash, saltLength, signature);
      assert.deepEqual(findSignatureFault(signed), want);
      assert.deepEqual(await findSignatureFaultInBackground(signed), want);
    }
  });
}

const ML_DSA_44 = { name: "ML-DSA-44", keyAlgorithm: "ML-DSA-44", hash: "none", isPss: false } as const;

for (
  const { what, algorithm, want } of [
    {
      what: "an algorithm that Go does not know",
      algorithm: parseSignatureAlgorithm(encodeOid("1.2.3")),
      want: UNIMPLEMENTED,
    },
    {
      what: "ML-DSA",
      algorithm: ML_DSA_44,
      want: "x509: signature algorithm specifies an ML-DSA public key, but have public key of type *rsa.PublicKey",
    },
    {
      what: "ECDSA",
      algorithm: { name: "ECDSA-SHA256", keyAlgorithm: "ECDSA", hash: "sha256", isPss: false } as const,
      want: "x509: signature algorithm specifies an ECDSA public key, but have public key of type *rsa.PublicKey",
    },
  ]
) {
  test(`findSignatureFault() refuses ${what} with an RSA key, also where ML-DSA is allowed`, () => {
    const signed = { algorithm, key: rsaFacts, data: DATA, signature: DATA, allowSha1: false, allowMlDsa: true };
    assert.deepEqual(findSignatureFault(signed), { kind: "unverified", message: want });
  });
}

test("findSignatureFault() names the types of an ECDSA signature and an ML-DSA key", () => {
  const key = { ...rsaFacts, algorithm: "ML-DSA-44" } as const;
  const algorithm = { name: "ECDSA-SHA256", keyAlgorithm: "ECDSA", hash: "sha256", isPss: false } as const;
  const signed = { algorithm, key, data: DATA, signature: DATA, allowSha1: false, allowMlDsa: true };
  const message =
    "x509: signature algorithm specifies an ECDSA public key, but have public key of type *mldsa.PublicKey";
  assert.deepEqual(findSignatureFault(signed), { kind: "unverified", message });
});

test("hasMlDsa() agrees with the runtime, and ML-DSA signatures are verified where it has them", async () => {
  let isKnown = true;
  try {
    generateKeyPairSync("ml-dsa-44" as "ed25519");
  } catch {
    isKnown = false;
  }
  assert.equal(hasMlDsa(), isKnown);
  if (!isKnown) return;
  const key = await generatePrivateKey("ml-dsa-44");
  const facts = parsePublicKey(key.publicKeyDer());
  const signature = key.sign(DATA);
  assert.equal(signature.length, ML_DSA[0]?.signatureBytes);
  assert.equal(isValidSignature("ML-DSA-44", facts, DATA, signature), true);
  assert.equal(isValidSignature("ML-DSA-44", facts, new Uint8Array(1), signature), false);
  const find = (cut: Bytes) =>
    findSignatureFault({
      algorithm: ML_DSA_44,
      key: facts,
      data: DATA,
      signature: cut,
      allowSha1: false,
      allowMlDsa: true,
    });
  assert.deepEqual(find(signature.with(0, signature[0]! ^ 1)), {
    kind: "invalid",
    message: "x509: ML-DSA verification failure: mldsa: invalid signature",
  });
  assert.deepEqual(find(signature.subarray(1)), {
    kind: "invalid",
    message: "x509: ML-DSA verification failure: mldsa: invalid signature length",
  });
});
