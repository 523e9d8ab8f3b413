/** RSA verification for keys that are larger than a runtime accepts: Deno 2.9 stops at 4096 bits, OpenSSL at 16384. */
import { decodeUnsignedBigInt } from "./curves.ts";
import { type Bytes, decodeUnsigned, DerReader, equalBytes, TAG } from "./der.ts";
import type { HashName } from "./signature_algorithm.ts";

/** The DigestInfo before the digest, by hash (RFC 8017 §9.2 note 1). */
const DIGEST_INFO: Readonly<Record<HashName, readonly number[]>> = {
  sha1: [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14],
  sha256: encodeDigestInfo(1, 32),
  sha384: encodeDigestInfo(2, 48),
  sha512: encodeDigestInfo(3, 64),
};

/**
 * Verifies a signature of PKCS#1 v1.5 (RFC 8017 §8.2.2); `keyBytes` is an RSAPublicKey that `parsePublicKey` has parsed,
 * which limits its size and exponent.
 */
export function verifyRsa(keyBytes: Bytes, hash: HashName, digest: Uint8Array, signature: Bytes): boolean {
  const key = new DerReader(keyBytes).enter(TAG.sequence, "RSAPublicKey");
  const modulusBytes = decodeUnsigned(key.read(TAG.integer, "modulus").content);
  const exponentBytes = decodeUnsigned(key.read(TAG.integer, "exponent").content);
  if (modulusBytes === undefined || exponentBytes === undefined) return false;
  const size = modulusBytes.length;
  const modulus = decodeUnsignedBigInt(modulusBytes);
  const number = decodeUnsignedBigInt(signature);
  if (signature.length !== size || number >= modulus) return false;
  const hex = power(number, decodeUnsignedBigInt(exponentBytes), modulus).toString(16).padStart(size * 2, "0");
  const info = DIGEST_INFO[hash];
  const wanted = new Uint8Array(size).fill(0xff);
  const start = size - info.length - digest.length;
  wanted.set([0, 1]);
  wanted.set([0, ...info, ...digest], start - 1);
  return start >= 11 &&
    equalBytes(Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)), wanted);
}

/** Computes a modular power. The numbers are public, so it needs no constant time. */
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let rest = exponent, square = base; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = result * square % modulus;
    square = square * square % modulus;
  }
  return result;
}

/** Encodes the DigestInfo of a SHA-2 hash, which is identified by the last arc of its OID. */
function encodeDigestInfo(arc: number, length: number): readonly number[] {
  return [
    ...[0x30, length + 17, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00],
    ...[0x04, length],
  ];
}
