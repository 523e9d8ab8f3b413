/**
 * Parses and encodes SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), and checks that the point of an ECDSA key is on its NIST
 * prime curve (FIPS 186-4, D.1.2; a = −3).
 */
import {
  type Bytes,
  checkInteger,
  decodeBitString,
  decodeOid,
  decodeUnsigned,
  type DerElement,
  DerError,
  DerReader,
  equalBytes,
  TAG,
  withText,
} from "../asn1/der.ts";
import { encodeBitString, encodeNull, encodeOid, encodeSequence, encodeUnsigned } from "../asn1/der_writer.ts";
import type { MlDsaName } from "./key_names.ts";
import { findMlDsa, type MlDsaParameters } from "./ml_dsa.ts";
import { encodeHex } from "../../lib/encodings.ts";

/** The algorithm of a public key: its name in Go's x509, or the parameter set of ML-DSA. */
export type PublicKeyAlgorithm = "RSA" | "ECDSA" | "Ed25519" | MlDsaName | "DSA" | "unknown";

/** The type and size of a public key; `bits` is 0 when unknown. */
export interface PublicKeyDescription {
  readonly algorithm: PublicKeyAlgorithm;
  readonly bits: number;
  readonly curve?: CurveName;
}

/** A parsed public key that verifies signatures. */
export interface PublicKeyFacts extends PublicKeyDescription {
  /** The whole SubjectPublicKeyInfo in DER. */
  readonly der: Bytes;
  /** The content of the BIT STRING: the key itself. */
  readonly keyBytes: Bytes;
  /** The reason why Go refuses to verify with the key. */
  readonly weakness?: string;
}

/** OpenSSL's limit, above which no signature can be verified (OPENSSL_RSA_MAX_MODULUS_BITS); Go has none. */
const MAX_RSA_BITS = 16_384;

/** Object identifiers of public keys (RFC 3279 §2.3, RFC 8410 §3). */
export const PUBLIC_KEY_OID = {
  rsa: "1.2.840.113549.1.1.1",
  dsa: "1.2.840.10040.4.1",
  ec: "1.2.840.10045.2.1",
  ed25519: "1.3.101.112",
} as const;

/** Reports whether both SubjectPublicKeyInfos are the same key. The keys are public, so the time may depend on them. */
export function publicKeysEqual(a: Uint8Array, b: Uint8Array): boolean {
  return equalBytes(a, b);
}

/** Parses a SubjectPublicKeyInfo; throws `DerError` in the words of Go's x509. Unknown algorithms are accepted. */
export function parsePublicKey(spki: Bytes): PublicKeyFacts {
  const outer = new DerReader(spki);
  const info = outer.enter(TAG.sequence, "publicKeyInfo");
  outer.expectEnd();
  const algorithm = info.enter(TAG.sequence, "AlgorithmIdentifier");
  const oid = decodeOid(algorithm.read(TAG.oid, "ObjectIdentifier").content);
  const parameters = algorithm.isAtEnd() ? undefined : algorithm.readAny();
  algorithm.expectEnd();
  const { bytes: keyBytes, unusedBits } = decodeBitString(info.read(TAG.bitString, "BitString").content);
  // Go accepts unused bits and ignores trailing bytes, but no tool writes either.
  info.expectEnd();
  if (unusedBits !== 0) throw new DerError("asn1: syntax error: invalid padding bits in BIT STRING");
  switch (oid) {
    case PUBLIC_KEY_OID.rsa:
      return parseRsa(spki, keyBytes, parameters);
    case PUBLIC_KEY_OID.ec:
      return parseEc(spki, keyBytes, parameters);
    case PUBLIC_KEY_OID.ed25519:
      if (parameters !== undefined) throw new DerError("x509: Ed25519 key encoded with illegal parameters");
      if (keyBytes.length !== 32) throw new DerError("x509: wrong Ed25519 public key size");
      return { algorithm: "Ed25519", bits: 256, der: spki, keyBytes };
    case PUBLIC_KEY_OID.dsa:
      return parseDsa(spki, keyBytes, parameters);
    default: {
      const mlDsa = findMlDsa(oid);
      if (mlDsa !== undefined) return toMlDsaKey(mlDsa, spki, keyBytes, parameters);
      return { algorithm: "unknown", bits: 0, der: spki, keyBytes };
    }
  }
}

/**
 * Describes an ML-DSA key. `bits` is the length of the key, as in OpenSSL. A malformed key is not an error, because Go
 * before 1.27 does not know the algorithm and accepts any bytes; the weakness is the message of Go 1.27.
 */
function toMlDsaKey(
  { name, publicKeyBytes }: MlDsaParameters,
  der: Bytes,
  keyBytes: Bytes,
  parameters: DerElement | undefined,
): PublicKeyFacts {
  const facts = { algorithm: name, bits: keyBytes.length * 8, der, keyBytes };
  if (parameters !== undefined) return { ...facts, weakness: "x509: ML-DSA key encoded with illegal parameters" };
  return keyBytes.length === publicKeyBytes ? facts : { ...facts, weakness: "mldsa: invalid public key length" };
}

function parseRsa(der: Bytes, keyBytes: Bytes, parameters: DerElement | undefined): PublicKeyFacts {
  if (parameters?.tag !== TAG.null || parameters.content.length !== 0) {
    throw new DerError("x509: RSA key missing NULL parameters");
  }
  const outer = new DerReader(keyBytes);
  const key = withText("x509: invalid RSA public key", () => outer.enter(TAG.sequence, "RSAPublicKey"));
  const modulus = readPositive(key, "x509: invalid RSA modulus", "x509: RSA modulus is not a positive number");
  const exponent = readPositive(
    key,
    "x509: invalid RSA public exponent",
    "x509: RSA public exponent is not a positive number",
  );
  key.expectEnd();
  outer.expectEnd();
  if (exponent.length > 7) throw new DerError("x509: invalid RSA public exponent");
  const bits = bitLength(modulus);
  const weakness = findRsaWeakness(bits, modulus, exponent);
  return { algorithm: "RSA", bits, der, keyBytes, ...(weakness === undefined ? {} : { weakness }) };
}

/** Checks a key as Go's crypto/rsa does before a verification, and then against the limit of OpenSSL. */
function findRsaWeakness(bits: number, modulus: Bytes, exponent: Bytes): string | undefined {
  let e = 0;
  for (const byte of exponent) e = e * 256 + byte;
  if (bits < 1024) {
    return `crypto/rsa: ${bits}-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)`;
  }
  if (isEven(modulus)) return "crypto/rsa: public modulus is even";
  if (e < 2) return "crypto/rsa: public exponent too small or negative";
  // Not `e`, which is rounded above 53 bits.
  if (isEven(exponent)) return "crypto/rsa: public exponent is even";
  if (e > 0x7fffffff) return "crypto/rsa: public exponent too large";
  if (bits > MAX_RSA_BITS) return `crypto/rsa: ${bits}-bit keys are too large: limit is ${MAX_RSA_BITS}`;
  return undefined;
}

function isEven(unsigned: Bytes): boolean {
  return (unsigned.at(-1) ?? 0) % 2 === 0;
}

function parseEc(der: Bytes, keyBytes: Bytes, parameters: DerElement | undefined): PublicKeyFacts {
  if (parameters?.tag !== TAG.oid) throw new DerError("x509: invalid ECDSA parameters");
  const curve = CURVE_OF_OID.get(withText("x509: invalid ECDSA parameters", () => decodeOid(parameters.content)));
  if (curve === undefined) throw new DerError("x509: unsupported elliptic curve");
  if (keyBytes[0] !== 4) throw new DerError("ecdsa: invalid uncompressed public key");
  const name = curve.name.replace("-", "");
  if (keyBytes.length !== 1 + 2 * curve.size) throw new DerError(`invalid ${name} point encoding`);
  if (!isPointOnCurve(curve, keyBytes)) throw new DerError(`${name} point not on curve`);
  return { algorithm: "ECDSA", bits: curve.bits, curve: curve.name, der, keyBytes };
}

function parseDsa(der: Bytes, keyBytes: Bytes, parameters: DerElement | undefined): PublicKeyFacts {
  const bad = "x509: invalid DSA parameters";
  const zero = "x509: zero or negative DSA parameter";
  readPositive(new DerReader(keyBytes), "x509: invalid DSA public key", zero);
  if (parameters?.tag !== TAG.sequence) throw new DerError(bad);
  const numbers = parameters.enter();
  const p = readPositive(numbers, bad, zero);
  readPositive(numbers, bad, zero);
  readPositive(numbers, bad, zero);
  return { algorithm: "DSA", bits: bitLength(p), der, keyBytes };
}

function readPositive(reader: DerReader, malformed: string, notPositive: string): Bytes {
  const content = withText(malformed, () => {
    const { content } = reader.read(TAG.integer, "integer");
    checkInteger(content);
    return content;
  });
  const digits = decodeUnsigned(content);
  if (digits === undefined || (digits.length === 1 && digits[0] === 0)) throw new DerError(notPositive);
  return digits;
}

function bitLength(unsigned: Bytes): number {
  return (unsigned.length - 1) * 8 + (32 - Math.clz32(unsigned[0] ?? 0));
}

/** The name of a curve that Go's x509 knows. */
export type CurveName = "P-224" | "P-256" | "P-384" | "P-521";

/** The domain parameters of the equation of a curve. */
export interface Curve {
  readonly name: CurveName;
  readonly oid: string;
  readonly bits: number;
  /** The length of a coordinate in bytes. */
  readonly size: number;
  readonly p: bigint;
  readonly b: bigint;
}

/** The curves that Go's x509 knows, by name. */
export const CURVES: Readonly<Record<CurveName, Curve>> = {
  "P-224": {
    name: "P-224",
    oid: "1.3.132.0.33",
    bits: 224,
    size: 28,
    p: 2n ** 224n - 2n ** 96n + 1n,
    b: 0xb4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4n,
  },
  "P-256": {
    name: "P-256",
    oid: "1.2.840.10045.3.1.7",
    bits: 256,
    size: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  "P-384": {
    name: "P-384",
    oid: "1.3.132.0.34",
    bits: 384,
    size: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  "P-521": {
    name: "P-521",
    oid: "1.3.132.0.35",
    bits: 521,
    size: 66,
    p: 2n ** 521n - 1n,
    b: 0x051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
};

/** The curves by their named-curve OID (RFC 5480 §2.1.1.1). */
const CURVE_OF_OID: ReadonlyMap<string, Curve> = new Map(Object.values(CURVES).map((curve) => [curve.oid, curve]));

/** The parts of a public key; numbers are unsigned and big-endian. */
export type PublicKeyParts =
  | { readonly algorithm: "RSA"; readonly modulus: Uint8Array; readonly exponent: Uint8Array }
  | {
    readonly algorithm: "ECDSA";
    readonly curve: CurveName;
    /** The uncompressed point: 0x04 ‖ x ‖ y. */
    readonly point: Uint8Array;
  }
  | { readonly algorithm: "Ed25519"; readonly keyBytes: Uint8Array };

/** Encodes a SubjectPublicKeyInfo. Only `parsePublicKey` checks the parts. */
export function encodePublicKey(parts: PublicKeyParts): Bytes {
  const encode = (key: Uint8Array, ...algorithm: readonly Bytes[]): Bytes =>
    encodeSequence(encodeSequence(...algorithm), encodeBitString(key));
  switch (parts.algorithm) {
    case "RSA": {
      const key = encodeSequence(encodeUnsigned(parts.modulus), encodeUnsigned(parts.exponent));
      return encode(key, encodeOid(PUBLIC_KEY_OID.rsa), encodeNull());
    }
    case "ECDSA":
      return encode(parts.point, encodeOid(PUBLIC_KEY_OID.ec), encodeOid(CURVES[parts.curve].oid));
    case "Ed25519":
      return encode(parts.keyBytes, encodeOid(PUBLIC_KEY_OID.ed25519));
  }
}

/** Reports whether bytes are an uncompressed point (0x04 ‖ x ‖ y) on the curve. */
export function isPointOnCurve(curve: Curve, point: Uint8Array): boolean {
  if (point.length !== 1 + 2 * curve.size || point[0] !== 4) return false;
  const x = toBigInt(point.subarray(1, 1 + curve.size));
  const y = toBigInt(point.subarray(1 + curve.size));
  return x < curve.p && y < curve.p && (y * y - (x * x * x - 3n * x + curve.b)) % curve.p === 0n;
}

/** Converts big-endian bytes to a number. */
export function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${encodeHex(bytes)}`);
}
