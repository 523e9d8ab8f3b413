/**
 * RSA keys that no tool makes: weak and huge keys, and keys with an unusual exponent. They have many small primes, so
 * that even a huge key is made quickly.
 */
import { createHash, generatePrimeSync } from "node:crypto";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { type Bytes, contextTag } from "../../core/pki/asn1/der.ts";
import {
  encodeBitString,
  encodeNull,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeUnsigned,
  encodeValue,
} from "../../core/pki/asn1/der_writer.ts";
import type { HashName } from "../../core/pki/keys/keys.ts";
import { encodeName } from "../../core/pki/x509/names.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import type { OddKey } from "./odd_certificate.ts";

const PRIME_BITS = 513;
/** The least number of bits that each prime adds to the product. */
const BITS_PER_PRIME = 512;
const RSA_OID = "1.2.840.113549.1.1.1";
const RSA_SHA256_OID = "1.2.840.113549.1.1.11";
/** The DigestInfo before the digest (RFC 8017 §9.2, note 1). */
const DIGEST_INFO: Readonly<Partial<Record<HashName, string>>> = {
  sha1: "3021300906052b0e03021a05000414",
  sha256: "3031300d060960864801650304020105000420",
};

/** Creates a key of at least this many bits, a multiple of 512. */
export function craftRsaKey(bits: number, exponent = 65_537n): OddKey {
  const primes = generatePrimes(bits / BITS_PER_PRIME, exponent);
  const modulus = primes.reduce((product, prime) => product * prime, 1n);
  const size = toBytes(modulus).length;
  const key = encodeSequence(encodeUnsigned(toBytes(modulus)), encodeUnsigned(toBytes(exponent)));
  return {
    algorithm: "RSA",
    publicKeyDer: () => encodeSequence(encodeSequence(encodeOid(RSA_OID), encodeNull()), encodeBitString(key)),
    sign(data, hash = "sha256"): Bytes {
      const digest = DIGEST_INFO[hash] + createHash(hash).update(data).digest("hex");
      const padded = BigInt(`0x01${"ff".repeat(size - 3 - digest.length / 2)}00${digest}`);
      const signature = toBytes(findRoot(padded, exponent, primes, modulus));
      const bytes = new Uint8Array(size);
      bytes.set(signature, size - signature.length);
      return bytes;
    },
  };
}

/** Creates `spec.request` for a key of `bits` bits, signed with it. */
export function buildRsaRequest(bits: number): string {
  const key = craftRsaKey(bits);
  const body = encodeSequence(
    encodeSmallInteger(0),
    encodeName({ commonName: `RSA-${bits}` }),
    key.publicKeyDer(),
    encodeValue(contextTag(0, true)),
  );
  const algorithm = encodeSequence(encodeOid(RSA_SHA256_OID), encodeNull());
  return encodeBase64(
    encodePem("CERTIFICATE REQUEST", encodeSequence(body, algorithm, encodeBitString(key.sign(body)))),
  );
}

/** Generates different primes for which the exponent has an inverse. */
function generatePrimes(count: number, exponent: bigint): readonly bigint[] {
  const primes = new Set<bigint>();
  while (primes.size < count) {
    const prime = generatePrimeSync(PRIME_BITS, { bigint: true });
    // The two highest bits are set, so that the product is long enough.
    if (prime >> BigInt(PRIME_BITS - 2) === 3n && gcd(prime - 1n, exponent) === 1n) primes.add(prime);
  }
  return [...primes];
}

/** Finds the number whose `exponent`-th power is the message, by the Chinese remainder theorem (RFC 8017 §5.1.2). */
function findRoot(message: bigint, exponent: bigint, primes: readonly bigint[], modulus: bigint): bigint {
  return primes.reduce((sum, prime) => {
    const root = power(message % prime, inverse(exponent, prime - 1n), prime);
    const others = modulus / prime;
    return sum + root * others * inverse(others % prime, prime);
  }, 0n) % modulus;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let rest = exponent, square = base; rest > 0n; rest >>= 1n, square = square * square % modulus) {
    if ((rest & 1n) === 1n) result = result * square % modulus;
  }
  return result;
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (b > 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y];
  return ((x % modulus) + modulus) % modulus;
}

function toBytes(number: bigint): Bytes {
  const hex = number.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return Uint8Array.from(even.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
