/** The NIST prime curves (FIPS 186-4, D.1.2; a = −3), and whether a point is on one of them. */
import { encodeHex } from "../../lib/hex.ts";

/** The curves that Go's x509 knows. */
export type CurveName = "P-224" | "P-256" | "P-384" | "P-521";

/** The domain parameters that the equation of a curve needs. */
export interface Curve {
  readonly name: CurveName;
  readonly oid: string;
  readonly bits: number;
  /** The length of a coordinate in bytes. */
  readonly size: number;
  readonly p: bigint;
  readonly b: bigint;
}

const CURVES: readonly Curve[] = [
  {
    name: "P-224",
    oid: "1.3.132.0.33",
    bits: 224,
    size: 28,
    p: 2n ** 224n - 2n ** 96n + 1n,
    b: 0xb4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4n,
  },
  {
    name: "P-256",
    oid: "1.2.840.10045.3.1.7",
    bits: 256,
    size: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  {
    name: "P-384",
    oid: "1.3.132.0.34",
    bits: 384,
    size: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  {
    name: "P-521",
    oid: "1.3.132.0.35",
    bits: 521,
    size: 66,
    p: 2n ** 521n - 1n,
    b: 0x051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
];

const CURVE_OF_OID: ReadonlyMap<string, Curve> = new Map(CURVES.map((curve) => [curve.oid, curve]));

/** Finds the curve of a named-curve OID (RFC 5480 §2.1.1.1); undefined for curves that Go's x509 does not know. */
export function findCurve(oid: string): Curve | undefined {
  return CURVE_OF_OID.get(oid);
}

/** Reports whether bytes are an uncompressed point (0x04 ‖ x ‖ y) on the curve. */
export function isPointOnCurve(curve: Curve, point: Uint8Array): boolean {
  if (point.length !== 1 + 2 * curve.size || point[0] !== 4) return false;
  const x = toBigInt(point.subarray(1, 1 + curve.size));
  const y = toBigInt(point.subarray(1 + curve.size));
  return x < curve.p && y < curve.p && (y * y - (x * x * x - 3n * x + curve.b)) % curve.p === 0n;
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${encodeHex(bytes)}`);
}
