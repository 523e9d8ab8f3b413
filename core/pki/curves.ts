/**
 * The NIST prime curves (FIPS 186-4, D.1.2; a = −3): point validation, and an ECDSA verification for the pairs of curve and
 * hash that a runtime's own crypto refuses (Deno 2.9: a digest shorter than half the field, that is P-384 with SHA-1 and
 * P-521 with SHA-1 or SHA-256). All data is public, so nothing here needs constant time.
 */
import { Buffer } from "node:buffer";

/** The curves that Go's x509 knows. */
export type CurveName = "P-224" | "P-256" | "P-384" | "P-521";

/** Domain parameters; `b` and the generator in affine form. */
export interface Curve {
  readonly name: CurveName;
  readonly oid: string;
  readonly bits: number;
  /** The length of a coordinate in bytes. */
  readonly size: number;
  readonly p: bigint;
  readonly b: bigint;
  readonly n: bigint;
  readonly gx: bigint;
  readonly gy: bigint;
}

/** A Jacobian point; `z` 0 is the point at infinity. */
interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
}

const INFINITY: Point = { x: 1n, y: 1n, z: 0n };

const CURVES: readonly Curve[] = [
  {
    name: "P-224",
    oid: "1.3.132.0.33",
    bits: 224,
    size: 28,
    p: 2n ** 224n - 2n ** 96n + 1n,
    b: 0xb4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4n,
    n: 0xffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3dn,
    gx: 0xb70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21n,
    gy: 0xbd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34n,
  },
  {
    name: "P-256",
    oid: "1.2.840.10045.3.1.7",
    bits: 256,
    size: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    gx: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
    gy: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  },
  {
    name: "P-384",
    oid: "1.3.132.0.34",
    bits: 384,
    size: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    gx: 0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
    gy: 0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
  },
  {
    name: "P-521",
    oid: "1.3.132.0.35",
    bits: 521,
    size: 66,
    p: 2n ** 521n - 1n,
    b: 0x051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    n: 0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    gx:
      0xc6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66n,
    gy:
      0x11839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650n,
  },
];

const CURVE_OF_OID: ReadonlyMap<string, Curve> = new Map(CURVES.map((curve) => [curve.oid, curve]));

/** Finds the curve of a named-curve OID (RFC 5480 §2.1.1.1); undefined for curves that Go's x509 does not know. */
export function findCurve(oid: string): Curve | undefined {
  return CURVE_OF_OID.get(oid);
}

/** Finds the curve with the given name. */
export function findCurveByName(name: CurveName): Curve | undefined {
  return CURVES.find((curve) => curve.name === name);
}

/** Reports whether bytes are an uncompressed point (0x04 ‖ x ‖ y) on the curve. */
export function isPointOnCurve(curve: Curve, point: Uint8Array): boolean {
  if (point.length !== 1 + 2 * curve.size || point[0] !== 4) return false;
  const { x, y } = decodePoint(curve, point);
  if (x >= curve.p || y >= curve.p) return false;
  return modulo(y * y - (x * x * x - 3n * x + curve.b), curve.p) === 0n;
}

/** Verifies the ECDSA signature `r`, `s` over a digest (FIPS 186-5 §6.4.2); the point must be on the curve. */
export function verifyEcdsa(curve: Curve, point: Uint8Array, digest: Uint8Array, r: bigint, s: bigint): boolean {
  const { n, p } = curve;
  if (r <= 0n || r >= n || s <= 0n || s >= n) return false;
  const spareBits = BigInt(Math.max(0, digest.length * 8 - curve.bits));
  const z = decodeUnsignedBigInt(digest) >> spareBits;
  const inverse = invert(s, n);
  const sum = multiplySum(
    curve,
    modulo(z * inverse, n),
    { x: curve.gx, y: curve.gy, z: 1n },
    modulo(r * inverse, n),
    { ...decodePoint(curve, point), z: 1n },
  );
  if (sum.z === 0n) return false;
  const zInverse = invert(sum.z, p);
  return modulo(modulo(sum.x * zInverse * zInverse, p), n) === r;
}

/** Decodes a big-endian unsigned integer. */
export function decodeUnsignedBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")}`);
}

function decodePoint(curve: Curve, point: Uint8Array): { readonly x: bigint; readonly y: bigint } {
  return {
    x: decodeUnsignedBigInt(point.subarray(1, 1 + curve.size)),
    y: decodeUnsignedBigInt(point.subarray(1 + curve.size)),
  };
}

function modulo(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** Computes the inverse by extended Euclid; the modulus is prime and the value is not 0. */
function invert(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [modulo(value, modulus), modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return modulo(x, modulus);
}

/** Computes i·a + j·b with one doubling per bit for both (Shamir's trick). */
function multiplySum(curve: Curve, i: bigint, a: Point, j: bigint, b: Point): Point {
  const both = add(curve, a, b);
  let sum = INFINITY;
  for (let bit = BigInt(curve.bits) - 1n; bit >= 0n; bit--) {
    sum = double(curve, sum);
    const inI = ((i >> bit) & 1n) === 1n;
    const inJ = ((j >> bit) & 1n) === 1n;
    if (inI && inJ) sum = add(curve, sum, both);
    else if (inI) sum = add(curve, sum, a);
    else if (inJ) sum = add(curve, sum, b);
  }
  return sum;
}

/** Point doubling in Jacobian coordinates for a = −3 (EFD `dbl-2001-b`). */
function double({ p }: Curve, { x, y, z }: Point): Point {
  if (z === 0n || y === 0n) return INFINITY;
  const delta = z * z % p;
  const gamma = y * y % p;
  const beta = x * gamma % p;
  const alpha = 3n * (x - delta) * (x + delta) % p;
  const x3 = modulo(alpha * alpha - 8n * beta, p);
  return {
    x: x3,
    y: modulo(alpha * (4n * beta - x3) - 8n * gamma * gamma, p),
    z: modulo((y + z) * (y + z) - gamma - delta, p),
  };
}

/** Point addition in Jacobian coordinates (EFD `add-2007-bl`, written plainly). */
function add(curve: Curve, a: Point, b: Point): Point {
  if (a.z === 0n) return b;
  if (b.z === 0n) return a;
  const { p } = curve;
  const zz1 = a.z * a.z % p;
  const zz2 = b.z * b.z % p;
  const u1 = a.x * zz2 % p;
  const s1 = a.y * b.z * zz2 % p;
  const h = modulo(b.x * zz1 - u1, p);
  const r = modulo(b.y * a.z * zz1 - s1, p);
  if (h === 0n) return r === 0n ? double(curve, a) : INFINITY;
  const hh = h * h % p;
  const hhh = h * hh % p;
  const v = u1 * hh % p;
  const x = modulo(r * r - hhh - 2n * v, p);
  return { x, y: modulo(r * (v - x) - s1 * hhh, p), z: h * a.z * b.z % p };
}
