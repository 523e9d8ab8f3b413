/** Verifies signatures with the acceptance and the words of Go's x509 `checkSignature`. */
import { constants, createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import type { SignatureAlgorithm } from "../ports.ts";
import { decodeUnsignedBigInt, findCurveByName, verifyEcdsa } from "./curves.ts";
import { type Bytes, decodeUnsigned, DerError, DerReader, TAG } from "./der.ts";
import { isMlDsa } from "./key_algorithm.ts";
import { hasMlDsa, ML_DSA, NO_ML_DSA } from "./ml_dsa.ts";
import { encodePem } from "./pem.ts";
import type { PublicKeyFacts } from "./public_key.ts";
import { verifyRsa } from "./rsa.ts";
import {
  encodeSignatureAlgorithm,
  type HashName,
  parseSignatureAlgorithm,
  type SignatureAlgorithmFacts,
} from "./signature_algorithm.ts";

/** The input of a verification. */
export interface SignedBytes {
  readonly algorithm: SignatureAlgorithmFacts;
  readonly key: PublicKeyFacts;
  readonly data: Bytes;
  readonly signature: Bytes;
  /** Whether SHA-1 is accepted, as Go does for requests but not for certificates. */
  readonly allowSha1: boolean;
  /** Whether ML-DSA is accepted; Go before 1.27, with which kube-apiserver 1.37 is built, does not implement it. */
  readonly allowMlDsa: boolean;
  /** Whether the imported key is cached for further signatures of the same issuer; the import is half of a verification. */
  readonly keepKey?: boolean;
}

const keptKeys = new WeakMap<PublicKeyFacts, KeyObject>();

const UNIMPLEMENTED = "x509: cannot verify signature: algorithm unimplemented";

const GO_KEY_TYPE: Readonly<Record<string, string>> = {
  RSA: "*rsa.PublicKey",
  ECDSA: "*ecdsa.PublicKey",
  Ed25519: "ed25519.PublicKey",
};

const HASH_BYTES: Readonly<Record<HashName, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/** Why a signature is not accepted, with Go's message. */
export interface SignatureFault {
  /** `invalid` for a signature that was verified and is not that of the key; `unverified` for one that cannot be verified. */
  readonly kind: "invalid" | "unverified";
  readonly message: string;
}

/** Verifies a signature; undefined when it is valid. */
export function findSignatureFault(signed: SignedBytes): SignatureFault | undefined {
  const { algorithm, key, data, signature } = signed;
  const { hash } = algorithm;
  const isMlDsaSignature = signed.allowMlDsa && isMlDsa(algorithm.keyAlgorithm);
  if (hash === "none" && algorithm.keyAlgorithm !== "Ed25519" && !isMlDsaSignature) {
    return unverified(UNIMPLEMENTED);
  }
  if (hash === "md5" || (hash === "sha1" && !signed.allowSha1)) {
    return unverified(`x509: cannot verify signature: insecure algorithm ${algorithm.name}`);
  }
  const isMlDsaKey = isMlDsa(key.algorithm);
  const goType = isMlDsaKey ? "*mldsa.PublicKey" : GO_KEY_TYPE[key.algorithm];
  if (goType === undefined || (isMlDsaKey && !signed.allowMlDsa)) return unverified(UNIMPLEMENTED);
  if (algorithm.keyAlgorithm !== key.algorithm) {
    const named = isMlDsaSignature ? "ML-DSA" : algorithm.keyAlgorithm;
    return unverified(
      isMlDsaKey && isMlDsaSignature
        ? `x509: signature algorithm specifies an ML-DSA public key with ${algorithm.name} parameters, ` +
          `but have a public key with ${key.algorithm} parameters`
        : `x509: signature algorithm specifies an ${named} public key, but have public key of type ${goType}`,
    );
  }
  if (key.weakness !== undefined) return unverified(key.weakness);
  switch (key.algorithm) {
    case "RSA":
      return hash !== "none" && isRsaGood(signed, hash) ? undefined : invalid("crypto/rsa: verification error");
    case "ECDSA":
      return hash !== "none" && isEcdsaGood(signed, hash) ? undefined : invalid("x509: ECDSA verification failure");
    case "Ed25519":
      return isGood(() => verify(null, data, importKey(signed), signature))
        ? undefined
        : invalid("x509: Ed25519 verification failure");
    default:
      return findMlDsaFault(signed);
  }
}

function unverified(message: string): SignatureFault {
  return { kind: "unverified", message };
}

function invalid(message: string): SignatureFault {
  return { kind: "invalid", message };
}

function findMlDsaFault(signed: SignedBytes): SignatureFault | undefined {
  const { key, data, signature } = signed;
  if (!hasMlDsa()) return unverified(`x509: cannot verify signature: ${NO_ML_DSA}`);
  if (isGood(() => verify(null, data, importKey(signed), signature))) return undefined;
  const isWhole = ML_DSA.some(({ name, signatureBytes }) =>
    name === key.algorithm && signatureBytes === signature.length
  );
  return invalid(`x509: ML-DSA verification failure: mldsa: invalid signature${isWhole ? "" : " length"}`);
}

/** Reports whether a CA's key made a signature with one of the algorithms of CAs. */
export function isSignatureGood(
  name: SignatureAlgorithm,
  key: PublicKeyFacts,
  data: Bytes,
  signature: Bytes,
): boolean {
  const sequence = new DerReader(encodeSignatureAlgorithm(name)).read(TAG.sequence, "algorithm");
  const algorithm = parseSignatureAlgorithm(sequence.content);
  return findSignatureFault({ algorithm, key, data, signature, allowSha1: false, allowMlDsa: true, keepKey: true }) ===
    undefined;
}

function isRsaGood(signed: SignedBytes, hash: HashName): boolean {
  const { algorithm, data, signature } = signed;
  const key = tryImportKey(signed);
  if (key === undefined) {
    // Deno 2.9 refuses RSA keys of more than 4096 bits, so the signature is verified here.
    const digest = createHash(hash).update(data).digest();
    return !algorithm.isPss && verifyRsa(signed.key.keyBytes, hash, digest, signature);
  }
  if (!algorithm.isPss) return isGood(() => verify(hash, data, key, signature));
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return isGood(() => verify(hash, data, { key, padding, saltLength: HASH_BYTES[hash] }, signature));
}

function isEcdsaGood(signed: SignedBytes, hash: HashName): boolean {
  const { key, data, signature } = signed;
  if (isGood(() => verify(hash, data, importKey(signed), signature))) return true;
  // Deno 2.9 refuses every signature over a digest shorter than half the field, so it is verified again here.
  const curve = key.curve === undefined ? undefined : findCurveByName(key.curve);
  if (curve === undefined || HASH_BYTES[hash] * 2 >= curve.size) return false;
  const numbers = decodeEcdsaSignature(signature);
  const digest = createHash(hash).update(data).digest();
  return numbers !== undefined && verifyEcdsa(curve, key.keyBytes, digest, numbers.r, numbers.s);
}

function decodeEcdsaSignature(signature: Bytes): { readonly r: bigint; readonly s: bigint } | undefined {
  try {
    const outer = new DerReader(signature);
    const sequence = outer.enter(TAG.sequence, "signature");
    const r = decodeUnsigned(sequence.read(TAG.integer, "r").content);
    const s = decodeUnsigned(sequence.read(TAG.integer, "s").content);
    sequence.expectEnd();
    outer.expectEnd();
    if (r === undefined || s === undefined) return undefined;
    return { r: decodeUnsignedBigInt(r), s: decodeUnsignedBigInt(s) };
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

function importKey({ key, keepKey = false }: SignedBytes): KeyObject {
  const known = keptKeys.get(key);
  if (known !== undefined) return known;
  // The key is PEM text, because Node 24 throws and catches two errors per key object: 13 µs instead of 36 µs.
  const imported = createPublicKey(encodePem("PUBLIC KEY", key.der));
  if (keepKey) keptKeys.set(key, imported);
  return imported;
}

function tryImportKey(signed: SignedBytes): KeyObject | undefined {
  try {
    return importKey(signed);
  } catch {
    return undefined;
  }
}

/** Runs a verification that throws for a malformed signature, which in Go merely does not verify. */
function isGood(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}
