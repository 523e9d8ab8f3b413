/** Deterministic cryptography: keys derived from the seed, and ECDSA with the nonces of RFC 6979. */
import { Buffer } from "node:buffer";
import { createECDH, createHash, createHmac, createPrivateKey, KeyObject, type SigningOptions } from "node:crypto";
import type { Random } from "../../core/ports.ts";

/** The order of the group of P-256 (SEC 2, section 2.4.2). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const BYTES = 32;

/** Derives a P-256 key from random bytes. */
export function deriveKey(random: Random): KeyObject {
  const d = toBytes(1n + toNumber(random.bytes(BYTES + 8)) % (ORDER - 1n));
  const point = multiply(d);
  return createPrivateKey({
    format: "jwk",
    key: {
      kty: "EC",
      crv: "P-256",
      d: d.toString("base64url"),
      x: point.subarray(1, 1 + BYTES).toString("base64url"),
      y: point.subarray(1 + BYTES).toString("base64url"),
    },
  });
}

/** The largest number of results in a cache. */
const MAX_RESULTS = 1_000;

/** Caches the results of a pure function by the text of its arguments. */
export class ResultCache<T> {
  readonly #results = new Map<string, T>();

  get(key: string, compute: () => T): T {
    const known = this.#results.get(key);
    if (known !== undefined) return known;
    const result = compute();
    if (this.#results.size >= MAX_RESULTS) this.#results.clear();
    this.#results.set(key, result);
    return result;
  }
}

const signatures = new ResultCache<Buffer>();
const scalars = new WeakMap<KeyObject, Buffer>();

/** Signs with ECDSA on P-256 as in RFC 6979. Takes the same key and options as `crypto.sign`. */
export function signDeterministically(
  hash: string,
  data: Uint8Array,
  key: KeyObject,
  dsaEncoding: SigningOptions["dsaEncoding"] = "der",
): Buffer {
  let d = scalars.get(key);
  if (d === undefined) scalars.set(key, d = Buffer.from(String(key.export({ format: "jwk" }).d), "base64url"));
  const digest = createHash(hash).update(data).digest().subarray(0, BYTES);
  const name = `${dsaEncoding} ${d.toString("latin1")} ${digest.toString("latin1")}`;
  const scalar = d;
  return Buffer.from(signatures.get(name, () => computeSignature(scalar, digest, dsaEncoding)));
}

function computeSignature(d: Buffer, digest: Buffer, dsaEncoding: SigningOptions["dsaEncoding"]): Buffer {
  const z = toNumber(digest) % ORDER;
  for (const k of generateNonces(d, toBytes(z))) {
    const r = toNumber(multiply(toBytes(k)).subarray(1, 1 + BYTES)) % ORDER;
    const s = (invert(k) * (z + r * toNumber(d))) % ORDER;
    if (r === 0n || s === 0n) continue;
    if (dsaEncoding === "ieee-p1363") return Buffer.concat([toBytes(r), toBytes(s)]);
    const integers = Buffer.concat([encodeInteger(r), encodeInteger(s)]);
    return Buffer.concat([Uint8Array.of(0x30, integers.length), integers]);
  }
  throw new Error("unreachable: there is always another nonce");
}

/** The nonces of RFC 6979, section 3.2, with HMAC-SHA256. */
function* generateNonces(d: Uint8Array, h1: Uint8Array): Generator<bigint> {
  let k: Uint8Array = new Uint8Array(BYTES);
  let v: Uint8Array = new Uint8Array(BYTES).fill(1);
  const mac = (...parts: readonly Uint8Array[]): Uint8Array =>
    parts.reduce((hmac, part) => hmac.update(part), createHmac("sha256", k)).digest();
  for (const step of [0, 1]) {
    k = mac(v, Uint8Array.of(step), d, h1);
    v = mac(v);
  }
  while (true) {
    v = mac(v);
    const nonce = toNumber(v);
    if (nonce > 0n && nonce < ORDER) yield nonce;
    k = mac(v, Uint8Array.of(0));
    v = mac(v);
  }
}

/** Multiplies the base point with OpenSSL, which is a thousand times faster than BigInt arithmetic. */
function multiply(scalar: Uint8Array): Buffer {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(scalar);
  return ecdh.getPublicKey();
}

/** Inverts a number modulo the order with Euclid's algorithm. */
function invert(number: bigint): bigint {
  let [a, b, x, y] = [number, ORDER, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b % a, a];
    [x, y] = [y - quotient * x, x];
  }
  return x < 0n ? x + ORDER : x;
}

function encodeInteger(number: bigint): Buffer {
  let bytes: Buffer = toBytes(number);
  while (bytes[0] === 0 && bytes[1]! < 0x80) bytes = bytes.subarray(1);
  const isHigh = bytes[0]! >= 0x80;
  return Buffer.concat([Uint8Array.of(0x02, bytes.length + (isHigh ? 1 : 0), ...(isHigh ? [0] : [])), bytes]);
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

function toBytes(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(2 * BYTES, "0"), "hex");
}
