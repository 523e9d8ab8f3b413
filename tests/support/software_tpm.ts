/**
 * A TPM in software for attestation, with keys in memory. It shares only encodings with the tested code, and shows what
 * a machine without a TPM could forge.
 */
import { createCipheriv, createHash, createHmac, timingSafeEqual, webcrypto } from "node:crypto";
import { Buffer } from "node:buffer";
import { concatBytes, encodeUint } from "../../core/lib/encodings.ts";
import type { Evidence, ProofAnswer, ProofChallenge } from "../../core/attestation/proof.ts";
import {
  ATTESTATION_TEMPLATE,
  encodePcrSelection,
  encodePublicArea,
  readTpm,
  tpmBuffer,
  type TpmPublicArea,
} from "../../core/attestation/tpm_structures.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";

export interface SoftwareTpmOptions {
  /** The type of the endorsement key; by default P-256, which is cheap. */
  readonly endorsement?: "rsa" | "ecc";
  /** Changes to the public area of the attestation key. */
  readonly attestationKey?: Partial<TpmPublicArea>;
}

export interface SoftwareTpm {
  readonly evidence: Extract<Evidence, { kind: "tpm" }>;
  /** Recovers the secret; throws where a TPM answers TPM_RC_INTEGRITY. */
  activate(challenge: TpmChallenge): Promise<Bytes>;
  quote(qualifyingData: Uint8Array, pcrs: readonly number[]): Promise<Omit<TpmAnswer, "kind" | "secret">>;
  /** Answers a challenge as a machine does that signs `message`. */
  answer(challenge: TpmChallenge, message: Uint8Array | string): Promise<TpmAnswer>;
}

type TpmChallenge = Extract<ProofChallenge, { kind: "tpm" }>;
type TpmAnswer = Extract<ProofAnswer, { kind: "tpm" }>;

const { subtle } = webcrypto;
const OAEP = { name: "RSA-OAEP", hash: "SHA-256" };
const ECDH = { name: "ECDH", namedCurve: "P-256" };
const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const LABEL = Buffer.from("IDENTITY\0");

export async function createSoftwareTpm(
  { endorsement = "ecc", attestationKey = {} }: SoftwareTpmOptions = {},
): Promise<SoftwareTpm> {
  const endorsementPair =
    await (endorsement === "rsa"
      ? subtle.generateKey({ ...OAEP, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }, true, ["decrypt"])
      : subtle.generateKey(ECDH, true, ["deriveBits"])) as webcrypto.CryptoKeyPair;
  const attestationPair = await subtle.generateKey(ECDSA, true, ["sign"]) as webcrypto.CryptoKeyPair;
  const point = await exportKey("raw", attestationPair.publicKey);
  const key = { kind: "ecc", curve: 3, x: point.slice(1, 33), y: point.slice(33) } as const;
  const publicArea = encodePublicArea({ ...ATTESTATION_TEMPLATE, key, ...attestationKey });
  const name = concatBytes(encodeUint(2, 0x000b), sha256(publicArea));

  async function recoverSeed(secret: Bytes): Promise<Uint8Array> {
    const content = unwrap(secret);
    if (endorsement === "rsa") {
      return new Uint8Array(await subtle.decrypt({ ...OAEP, label: LABEL }, endorsementPair.privateKey, content));
    }
    const [x, y] = read(content, (reader) => [reader.sized(), reader.sized()] as const);
    const ephemeral = await subtle.importKey("raw", concatBytes(Uint8Array.of(4), x, y), ECDH, false, []);
    const shared = await subtle.deriveBits({ ...ECDH, public: ephemeral }, endorsementPair.privateKey, 256);
    const own = await exportKey("raw", endorsementPair.publicKey);
    return sha256(concatBytes(encodeUint(4, 1), new Uint8Array(shared), LABEL, x, own.slice(1, 33)));
  }

  async function activate({ credential, secret }: TpmChallenge): Promise<Bytes> {
    const seed = await recoverSeed(secret);
    const [integrity, encrypted] = read(unwrap(credential), (reader) => [reader.sized(), reader.rest()] as const);
    const derive = (label: string, context: Uint8Array, bits: number) =>
      hmac(seed, concatBytes(encodeUint(4, 1), Buffer.from(`${label}\0`), context, encodeUint(4, bits)));
    const expected = hmac(derive("INTEGRITY", new Uint8Array(0), 256), concatBytes(encrypted, name));
    if (integrity.length !== 32 || !timingSafeEqual(integrity, expected)) throw new Error("TPM_RC_INTEGRITY");
    return unwrap(decryptCfb(derive("STORAGE", name, 128).subarray(0, 16), encrypted));
  }

  async function quote(qualifyingData: Uint8Array, pcrs: readonly number[]): ReturnType<SoftwareTpm["quote"]> {
    const sorted = pcrs.toSorted((a, b) => a - b);
    const pcrValues = new Map(sorted.map((pcr) => [pcr, new Uint8Array(32).fill(pcr)]));
    const attested = concatBytes(
      Uint8Array.of(0xff, 0x54, 0x43, 0x47, 0x80, 0x18),
      tpmBuffer(name),
      tpmBuffer(qualifyingData),
      new Uint8Array(25),
      encodePcrSelection(sorted),
      tpmBuffer(sha256(concatBytes(...pcrValues.values()))),
    );
    const raw = await subtle.sign({ name: ECDSA.name, hash: "SHA-256" }, attestationPair.privateKey, attested);
    const [r, s] = [new Uint8Array(raw, 0, 32), new Uint8Array(raw, 32)];
    const signature = concatBytes(Uint8Array.of(0, 0x18, 0, 0x0b), tpmBuffer(r), tpmBuffer(s));
    return { quote: attested, signature, pcrValues };
  }

  return {
    evidence: {
      kind: "tpm",
      endorsementKey: await exportKey("spki", endorsementPair.publicKey),
      attestationKey: publicArea,
    },
    activate,
    quote,
    async answer(challenge, message) {
      const quoted = await quote(sha256(Buffer.from(message)), challenge.pcrs);
      return { kind: "tpm", secret: await activate(challenge), ...quoted };
    },
  };
}

async function exportKey(format: "raw" | "spki", key: webcrypto.CryptoKey): Promise<Bytes> {
  return new Uint8Array(await subtle.exportKey(format, key) as ArrayBuffer);
}

function sha256(data: Uint8Array): Bytes {
  return Uint8Array.from(createHash("sha256").update(data).digest());
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(data).digest();
}

function unwrap(sized: Bytes): Bytes {
  return read(sized, (reader) => reader.sized());
}

function read<T>(bytes: Bytes, reading: Parameters<typeof readTpm<T>>[1]): T {
  const result = readTpm(bytes, reading);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function decryptCfb(key: Uint8Array, encrypted: Bytes): Bytes {
  const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
  // Each block is masked with the encryption of the one before it.
  const blocks = concatBytes(new Uint8Array(16), encrypted, new Uint8Array(16 - encrypted.length % 16));
  const masks = cipher.update(blocks);
  return encrypted.map((byte, at) => byte ^ masks[at]!);
}
