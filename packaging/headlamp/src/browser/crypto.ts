/**
 * The functions of `node:crypto` with which core reads requests and verifies their signatures, in a browser, which has no
 * synchronous cryptography of its own. Other functions are missing: nothing in the plugin makes keys or signatures.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { Buffer } from "buffer";
import { findPemBlock } from "../../../../core/pki/pem.ts";
import { parsePublicKey, type PublicKeyFacts } from "../../../../core/pki/public_key.ts";

const HASHES = { sha1, sha256, sha384, sha512 } as const;
const CURVES = { "P-256": p256, "P-384": p384, "P-521": p521 } as const;

/** The name of a hash that core uses. */
export type BrowserHash = keyof typeof HASHES;

/** Like Node's: bytes with the encoding `buffer`, else hexadecimal text. */
export function hash(
  name: BrowserHash,
  data: Uint8Array | string,
  encoding: "hex" | "buffer" = "hex",
): string | Buffer {
  const digest = Buffer.from(HASHES[name](typeof data === "string" ? new TextEncoder().encode(data) : data));
  return encoding === "hex" ? digest.toString("hex") : digest;
}

/** Like Node's, for a hash whose data comes in parts. */
export function createHash(name: BrowserHash): BrowserHasher {
  const state = HASHES[name].create();
  const hasher: BrowserHasher = {
    update(data) {
      state.update(typeof data === "string" ? new TextEncoder().encode(data) : data);
      return hasher;
    },
    digest(encoding) {
      const digest = Buffer.from(state.digest());
      return encoding === undefined ? digest : digest.toString(encoding);
    },
  };
  return hasher;
}

/** A hash that is being computed. */
export interface BrowserHasher {
  update(data: Uint8Array | string): BrowserHasher;
  digest(encoding?: "hex" | "base64" | "base64url"): Buffer | string;
}

/** Like Node's, for two values of one length. */
export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.reduce((difference, byte, at) => difference | (byte ^ (b[at] ?? 0)), a.length ^ b.length) === 0;
}

/** The paddings that core names. */
export const constants = { RSA_PKCS1_PADDING: 1, RSA_PKCS1_PSS_PADDING: 6 } as const;

/** Reads a public key of PEM text. RSA is refused: core then verifies its signatures itself. */
export function createPublicKey(pem: string): PublicKeyFacts {
  const found = findPemBlock(pem);
  if (found === undefined) throw new Error("no public key");
  const key = parsePublicKey(found.block.bytes);
  if (key.algorithm !== "ECDSA" && key.algorithm !== "Ed25519") throw new Error(`no ${key.algorithm} here`);
  return key;
}

/** Private keys, which the plugin never has. */
export { refusePrivateKey as createPrivateKey, refusePrivateKey as generateKeyPair, refusePrivateKey as sign };

function refusePrivateKey(): never {
  throw new Error("no private keys here");
}

/** Verifies a signature: of ECDSA with a hash, as DER, or of Ed25519 without one. */
export function verify(
  hashName: BrowserHash | null,
  data: Uint8Array,
  key: PublicKeyFacts,
  signature: Uint8Array,
): boolean {
  if (key.algorithm === "Ed25519") return ed25519.verify(signature, data, key.keyBytes);
  const curve = CURVES[key.curve as keyof typeof CURVES];
  if (curve === undefined || hashName === null) throw new Error("no such key here");
  const digest = HASHES[hashName](data);
  return curve.verify(signature, digest, key.keyBytes, { prehash: false, lowS: false, format: "der" });
}
