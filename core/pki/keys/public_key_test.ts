import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import { type Bytes, TAG, toResult } from "../asn1/der.ts";
import {
  encodeBitString,
  encodeNull,
  encodeOid,
  encodeSequence,
  encodeUnsigned,
  encodeValue,
} from "../asn1/der_writer.ts";
import { CURVES, encodePublicKey, isPointOnCurve, parsePublicKey } from "./public_key.ts";

const NULL = encodeNull();
const ED25519 = encodeOid("1.3.101.112");
const ML_DSA_44 = encodeOid("2.16.840.1.101.3.4.3.17");
const RSA = encodeOid("1.2.840.113549.1.1.1");
const EC = encodeOid("1.2.840.10045.2.1");
const P256 = encodeOid("1.2.840.10045.3.1.7");
const DSA = encodeOid("1.2.840.10040.4.1");

const bytes = (length: number, fill = 0xff) => new Uint8Array(length).fill(fill);
const spki = (algorithm: readonly Bytes[], key: Bytes, ...more: readonly Bytes[]) =>
  encodeSequence(encodeSequence(...algorithm), encodeBitString(key), ...more);
const rsa = (modulus: Bytes, exponent: Bytes, ...more: readonly Bytes[]) =>
  spki([RSA, NULL], encodeSequence(encodeUnsigned(modulus), encodeUnsigned(exponent), ...more));
const F4 = Uint8Array.of(1, 0, 1);
const ONE = encodeUnsigned(Uint8Array.of(1));
const ZERO = encodeUnsigned(Uint8Array.of(0));

for (
  const { name, der, want } of [
    { name: "an Ed25519 key", der: spki([ED25519], bytes(32)), want: "Ed25519 256" },
    { name: "a short Ed25519 key", der: spki([ED25519], bytes(31)), want: "x509: wrong Ed25519 public key size" },
    {
      name: "an Ed25519 key with parameters",
      der: spki([ED25519, NULL], bytes(32)),
      want: "x509: Ed25519 key encoded with illegal parameters",
    },
    {
      name: "an ML-DSA key with parameters",
      der: spki([ML_DSA_44, NULL], bytes(1_312)),
      want: "x509: ML-DSA key encoded with illegal parameters",
    },
    { name: "an ML-DSA key", der: spki([ML_DSA_44], bytes(1_312)), want: "ML-DSA-44 10496" },
    { name: "a short ML-DSA key", der: spki([ML_DSA_44], bytes(1_311)), want: "mldsa: invalid public key length" },
    { name: "an unknown key", der: spki([encodeOid("1.2.3")], bytes(1)), want: "unknown 0" },
    {
      name: "a value after the key",
      der: spki([ED25519], bytes(32), NULL),
      want: "asn1: syntax error: trailing data",
    },
    {
      name: "a byte after the end",
      der: Uint8Array.of(...spki([ED25519], bytes(32)), 0),
      want: "asn1: syntax error: trailing data",
    },
    { name: "two parameters", der: spki([RSA, NULL, NULL], bytes(1)), want: "asn1: syntax error: trailing data" },
    {
      name: "unused bits",
      der: encodeSequence(encodeSequence(ED25519), encodeBitString(bytes(32, 0xf0), 4)),
      want: "asn1: syntax error: invalid padding bits in BIT STRING",
    },
    { name: "an RSA key", der: rsa(bytes(256), F4), want: "RSA 2048" },
    { name: "an RSA key without NULL", der: spki([RSA], bytes(1)), want: "x509: RSA key missing NULL parameters" },
    {
      name: "an RSA key with a NULL that has content",
      der: spki([RSA, Uint8Array.of(5, 1, 0)], bytes(1)),
      want: "x509: RSA key missing NULL parameters",
    },
    { name: "bytes that are not an RSA key", der: spki([RSA, NULL], bytes(1)), want: "x509: invalid RSA public key" },
    {
      name: "an RSA key whose modulus has a byte too many",
      der: spki([RSA, NULL], encodeSequence(encodeValue(TAG.integer, Uint8Array.of(0, 1)), ONE)),
      want: "x509: invalid RSA modulus",
    },
    { name: "modulus 0", der: rsa(bytes(1, 0), F4), want: "x509: RSA modulus is not a positive number" },
    {
      name: "exponent 0",
      der: rsa(bytes(256), bytes(1, 0)),
      want: "x509: RSA public exponent is not a positive number",
    },
    { name: "an exponent of 8 bytes", der: rsa(bytes(256), bytes(8)), want: "x509: invalid RSA public exponent" },
    {
      name: "an exponent of 7 bytes",
      der: rsa(bytes(256), bytes(7)),
      want: "crypto/rsa: public exponent too large",
    },
    {
      name: "the largest exponent",
      der: rsa(bytes(256), Uint8Array.of(0x7f, 255, 255, 255)),
      want: "RSA 2048",
    },
    {
      name: "exponent 1",
      der: rsa(bytes(256), bytes(1, 1)),
      want: "crypto/rsa: public exponent too small or negative",
    },
    { name: "exponent 2", der: rsa(bytes(256), bytes(1, 2)), want: "crypto/rsa: public exponent is even" },
    { name: "an even modulus", der: rsa(bytes(256, 0xfe), F4), want: "crypto/rsa: public modulus is even" },
    { name: "1024 bits", der: rsa(bytes(128), F4), want: "RSA 1024" },
    {
      name: "1023 bits",
      der: rsa(bytes(128, 0x7f), F4),
      want: "crypto/rsa: 1023-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)",
    },
    { name: "16384 bits", der: rsa(bytes(2048), F4), want: "RSA 16384" },
    {
      name: "more than 16384 bits",
      der: rsa(bytes(2049), F4),
      want: "crypto/rsa: 16392-bit keys are too large: limit is 16384",
    },
    { name: "three numbers", der: rsa(bytes(256), F4, ONE), want: "asn1: syntax error: trailing data" },
    {
      name: "a byte after the RSA key",
      der: spki([RSA, NULL], Uint8Array.of(...encodeSequence(ONE, ONE), 0)),
      want: "asn1: syntax error: trailing data",
    },
    { name: "an EC key without a curve", der: spki([EC, NULL], bytes(65)), want: "x509: invalid ECDSA parameters" },
    { name: "an unknown curve", der: spki([EC, RSA], bytes(65)), want: "x509: unsupported elliptic curve" },
    { name: "a compressed point", der: spki([EC, P256], bytes(33, 2)), want: "ecdsa: invalid uncompressed public key" },
    { name: "a short point", der: spki([EC, P256], bytes(64, 4)), want: "invalid P256 point encoding" },
    { name: "a point that is not on the curve", der: spki([EC, P256], bytes(65, 4)), want: "P256 point not on curve" },
    { name: "a DSA key", der: spki([DSA, encodeSequence(ONE, ONE, ONE)], ONE), want: "DSA 1" },
    { name: "a DSA key without parameters", der: spki([DSA, NULL], ONE), want: "x509: invalid DSA parameters" },
    {
      name: "a DSA key of two numbers",
      der: spki([DSA, encodeSequence(ONE, ONE)], ONE),
      want: "x509: invalid DSA parameters",
    },
    {
      name: "a DSA key of 0",
      der: spki([DSA, encodeSequence(ONE, ONE, ONE)], ZERO),
      want: "x509: zero or negative DSA parameter",
    },
  ]
) {
  test(`parsePublicKey() finds "${want}" for ${name}`, () => {
    const parsed = toResult(() => parsePublicKey(der));
    const found = parsed.ok ? parsed.value.weakness ?? `${parsed.value.algorithm} ${parsed.value.bits}` : parsed.error;
    assert.equal(found, want);
  });
}

for (
  const [name, oid, namedCurve] of [
    ["P-224", "1.3.132.0.33", "secp224r1"],
    ["P-256", "1.2.840.10045.3.1.7", "prime256v1"],
    ["P-384", "1.3.132.0.34", "secp384r1"],
    ["P-521", "1.3.132.0.35", "secp521r1"],
  ] as const
) {
  test(`isPointOnCurve() accepts a key of ${name}, and no neighbour`, () => {
    const curve = CURVES[name];
    assert.deepEqual([curve.name, curve.oid], [name, oid]);
    const { publicKey } = generateKeyPairSync("ec", { namedCurve });
    const spki = publicKey.export({ format: "der", type: "spki" });
    const point = new Uint8Array(spki.subarray(-2 * curve.size - 1));
    const number = (start: number): bigint =>
      BigInt(`0x${Buffer.from(point).toString("hex", start, start + curve.size)}`);
    const [x, y] = [number(1), number(1 + curve.size)];
    const encode = (x: bigint, y: bigint): Uint8Array =>
      Buffer.from("04" + [x, y].map((part) => part.toString(16).padStart(curve.size * 2, "0")).join(""), "hex");
    assert.equal(isPointOnCurve(curve, point), true);
    assert.equal(isPointOnCurve(curve, encode(x, curve.p - y)), true);
    assert.equal(isPointOnCurve(curve, encode(x, y === 0n ? 1n : y - 1n)), false);
    assert.equal(isPointOnCurve(curve, point.subarray(1)), false);
    assert.equal(isPointOnCurve(curve, encode(0n, 0n)), false);
    // P-521 has bits to spare for a number that is too large.
    assert.equal(isPointOnCurve(curve, encode(x + curve.p, y)), false);
    assert.equal(isPointOnCurve(curve, encode(x, y + curve.p)), false);
    assert.equal(isPointOnCurve(curve, point.with(0, 2)), false);
  });
}

test("isPointOnCurve() refuses a coordinate that is the prime itself", () => {
  const curve = CURVES["P-256"];
  // The curve has a point at x = 0; because p is 3 modulo 4, its y is b to the power of (p + 1) / 4.
  let [y, square] = [1n, curve.b];
  for (let rest = (curve.p + 1n) / 4n; rest > 0n; rest >>= 1n) {
    if (rest % 2n === 1n) y = y * square % curve.p;
    square = square * square % curve.p;
  }
  const encode = (x: bigint) =>
    Buffer.from("04" + [x, y].map((part) => part.toString(16).padStart(64, "0")).join(""), "hex");
  assert.equal(isPointOnCurve(curve, encode(0n)), true);
  assert.equal(isPointOnCurve(curve, encode(curve.p)), false);
});

test("encodePublicKey() writes what node:crypto exports", () => {
  const read = (text = "") => new Uint8Array(Buffer.from(text, "base64url"));
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
  const { n, e } = rsa.export({ format: "jwk" });
  const ed25519 = generateKeyPairSync("ed25519").publicKey;
  const ecdsa = (["P-256", "P-384", "P-521"] as const).map((curve) => {
    const key = generateKeyPairSync("ec", { namedCurve: curve }).publicKey;
    const { x, y } = key.export({ format: "jwk" });
    return [key, { algorithm: "ECDSA", curve, point: Uint8Array.of(4, ...read(x), ...read(y)) }] as const;
  });
  for (
    const [key, parts] of [
      [rsa, { algorithm: "RSA", modulus: read(n), exponent: read(e) }],
      [ed25519, { algorithm: "Ed25519", keyBytes: read(ed25519.export({ format: "jwk" }).x) }],
      ...ecdsa,
    ] as const
  ) assert.deepEqual(Buffer.from(encodePublicKey(parts)), key.export({ format: "der", type: "spki" }));
});
