/**
 * MakeCredential (TCG, Trusted Platform Module Library, part 1, "Credential Protection"): a secret that only the TPM with an
 * endorsement key recovers, and only while the key of a given name is loaded in it.
 */
import { createCipheriv, createHash, createHmac, webcrypto } from "node:crypto";
import { AppError } from "../errors.ts";
import { err, type Result } from "../lib/result.ts";
import { type Bytes, toResult } from "../pki/asn1/der.ts";
import { parsePublicKey, type PublicKeyFacts } from "../pki/keys/public_key.ts";
import type { Random } from "../ports.ts";
import { joinTpm, tpmBuffer, tpmNumber } from "./tpm_structures.ts";

/** A secret for one key of one TPM. */
export interface TpmCredential {
  /** TPM2B_ID_OBJECT: the encrypted secret and its HMAC. */
  readonly credential: Bytes;
  /** TPM2B_ENCRYPTED_SECRET: the seed of both keys, for the endorsement key. */
  readonly secret: Bytes;
}

/** A label ends with a zero byte. */
const IDENTITY = new TextEncoder().encode("IDENTITY\0");
/** The length of a hash with SHA-256, and so of a seed and of the longest secret. */
const HASH_BYTES = 32;
const CIPHER_BYTES = 16;
const { subtle } = webcrypto;

/** Parses an endorsement key in DER of SubjectPublicKeyInfo: RSA with 2048 bits, or ECC on P-256. */
export function readEndorsementKey(spki: Bytes): Result<PublicKeyFacts, string> {
  const key = toResult(() => parsePublicKey(spki));
  if (!key.ok) return key;
  const { algorithm, bits, curve, weakness } = key.value;
  if (weakness !== undefined) return err(weakness);
  const isStandard = algorithm === "RSA" && bits === 2048 || curve === "P-256";
  return isStandard ? key : err("want an endorsement key of RSA with 2048 bits or ECC with P-256");
}

/**
 * Encrypts a secret of at most 32 bytes for the TPM with the endorsement key, which needs the key named `objectName` to
 * recover it. The endorsement key has a standard template: SHA-256, and AES-128 in CFB mode. Rejects with AppError
 * `invalid` for a key that `readEndorsementKey` refuses.
 */
export async function makeCredential(
  endorsementKey: Bytes,
  objectName: Bytes,
  secret: Bytes,
  random: Pick<Random, "bytes">,
): Promise<TpmCredential> {
  const key = readEndorsementKey(endorsementKey);
  if (!key.ok) throw new AppError("invalid", `cannot use the endorsement key: ${key.error}`);
  const { seed, encrypted } = await shareSeed(key.value, random);
  const cipherKey = deriveKey(seed, "STORAGE", objectName, CIPHER_BYTES);
  const identity = encryptCfb(cipherKey, tpmBuffer(secret));
  const hmac = createHmac("sha256", deriveKey(seed, "INTEGRITY", new Uint8Array(0), HASH_BYTES));
  const integrity = hmac.update(identity).update(objectName).digest();
  return { credential: tpmBuffer(tpmBuffer(integrity), identity), secret: tpmBuffer(encrypted) };
}

/** Chooses a seed and encrypts it for an RSA key, or agrees on one with an ECC key. */
async function shareSeed(
  key: PublicKeyFacts,
  random: Pick<Random, "bytes">,
): Promise<{ readonly seed: Bytes; readonly encrypted: Bytes }> {
  if (key.algorithm === "RSA") {
    const oaep = { name: "RSA-OAEP", hash: "SHA-256" };
    const imported = await subtle.importKey("spki", key.der, oaep, false, ["encrypt"]);
    const seed = random.bytes(HASH_BYTES);
    const encrypted = await subtle.encrypt({ name: oaep.name, label: IDENTITY }, imported, seed);
    return { seed, encrypted: new Uint8Array(encrypted) };
  }
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const theirs = await subtle.importKey("spki", key.der, curve, false, []);
  const own = await subtle.generateKey(curve, false, ["deriveBits"]);
  const shared = await subtle.deriveBits({ name: curve.name, public: theirs }, own.privateKey, 8 * HASH_BYTES);
  const point = new Uint8Array(await subtle.exportKey("raw", own.publicKey));
  const [x, y] = [point.subarray(1, 1 + HASH_BYTES), point.subarray(1 + HASH_BYTES)];
  // KDFe (part 1, "Key Derivation Function for Elliptic Curve"), whose one round gives all the bits.
  const kdf = createHash("sha256").update(tpmNumber(4, 1)).update(new Uint8Array(shared)).update(IDENTITY);
  const seed = kdf.update(x).update(key.keyBytes.subarray(1, 1 + HASH_BYTES)).digest();
  return { seed: new Uint8Array(seed), encrypted: joinTpm(tpmBuffer(x), tpmBuffer(y)) };
}

/** KDFa (part 1, "Key Derivation Function"), whose one round gives enough bits. */
function deriveKey(seed: Bytes, label: string, context: Bytes, length: number): Uint8Array {
  const hmac = createHmac("sha256", seed).update(tpmNumber(4, 1)).update(`${label}\0`).update(context);
  return hmac.update(tpmNumber(4, 8 * length)).digest().subarray(0, length);
}

/** AES-128 in CFB mode with an initialization vector of zeros, from single blocks because Deno does not have the mode. */
function encryptCfb(key: Uint8Array, plain: Bytes): Bytes {
  const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
  const encrypted = new Uint8Array(plain.length);
  let previous: Uint8Array = new Uint8Array(CIPHER_BYTES);
  for (let at = 0; at < plain.length; at += CIPHER_BYTES) {
    const mask = cipher.update(previous);
    previous = plain.subarray(at, at + CIPHER_BYTES).map((byte, index) => byte ^ mask[index]!);
    encrypted.set(previous, at);
  }
  return encrypted;
}
