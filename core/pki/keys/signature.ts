/** Verifies signatures with the acceptance and the words of Go's x509 `checkSignature`. */
import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import type { SignatureAlgorithm } from "../../ports.ts";
import { type Bytes, DerReader, TAG } from "../asn1/der.ts";
import { isMlDsa } from "./key_algorithm.ts";
import { hasMlDsa, ML_DSA, NO_ML_DSA } from "./ml_dsa.ts";
import { encodePem } from "../asn1/pem.ts";
import type { PublicKeyFacts } from "./public_key.ts";
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
  /** `invalid` for a signature that the key did not make; `unverified` for one that cannot be verified. */
  readonly kind: "invalid" | "unverified";
  readonly message: string;
}

/** Verifies a signature; undefined when it is valid. */
export function findSignatureFault(signed: SignedBytes): SignatureFault | undefined {
  const { hash, key, failure } = planCheck(signed);
  try {
    return key !== undefined && verify(hash, signed.data, key, signed.signature) ? undefined : failure;
  } catch {
    // A malformed signature, which in Go merely does not verify.
    return failure;
  }
}

/** Verifies a signature like `findSignatureFault`, but on another thread where the runtime can. */
export async function findSignatureFaultAside(signed: SignedBytes): Promise<SignatureFault | undefined> {
  const { hash, key, failure } = planCheck(signed);
  if (key === undefined) return failure;
  // An input that the runtime refuses throws, or its callback has an error and no result.
  const isGood = await new Promise<boolean>((resolve) =>
    verify(hash, signed.data, key, signed.signature, (_error, isValid) => resolve(isValid))
  ).catch(() => false);
  return isGood ? undefined : failure;
}

/** How a signature is verified; without a key it has the fault already. */
interface Check {
  readonly hash: HashName | null;
  readonly key: Parameters<typeof verify>[2] | undefined;
  readonly failure: SignatureFault;
}

function planCheck(signed: SignedBytes): Check {
  const { algorithm, key, signature } = signed;
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
      return hash === "none" ? invalid(RSA_FAILURE) : planRsaCheck(signed, hash);
    case "ECDSA":
      return hash === "none" ? invalid(ECDSA_FAILURE) : planEcdsaCheck(signed, hash);
    case "Ed25519":
      return { ...invalid("x509: Ed25519 verification failure"), hash: null, key: importKey(signed) };
    default: {
      if (!hasMlDsa()) return unverified(`x509: cannot verify signature: ${NO_ML_DSA}`);
      const isWhole = ML_DSA.some((one) => one.name === key.algorithm && one.signatureBytes === signature.length);
      const message = `x509: ML-DSA verification failure: mldsa: invalid signature${isWhole ? "" : " length"}`;
      return { ...invalid(message), hash: null, key: importKey(signed) };
    }
  }
}

function unverified(message: string): Check {
  return { hash: null, key: undefined, failure: { kind: "unverified", message } };
}

function invalid(message: string): Check {
  return { hash: null, key: undefined, failure: { kind: "invalid", message } };
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

const RSA_FAILURE = "crypto/rsa: verification error";

function planRsaCheck(signed: SignedBytes, hash: HashName): Check {
  const key = importKey(signed);
  // Deno 2.9 accepts RSA keys of up to 4096 bits.
  if (key === undefined) return unverified(`x509: cannot verify signature: ${getRuntime()} refuses this RSA key`);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const verifier = signed.algorithm.isPss ? { key, padding, saltLength: HASH_BYTES[hash] } : key;
  return { ...invalid(RSA_FAILURE), hash, key: verifier };
}

const ECDSA_FAILURE = "x509: ECDSA verification failure";

function planEcdsaCheck(signed: SignedBytes, hash: HashName): Check {
  const { key } = signed;
  // Deno 2.9 refuses every signature over a digest shorter than half the field: P-384 with SHA-1, P-521 with SHA-256.
  const failed = getRuntime() === "Deno" && HASH_BYTES[hash] * 8 * 2 < key.bits
    ? unverified(`x509: cannot verify signature: Deno verifies no ECDSA ${key.curve} over ${hash}; Node.js does`)
    : invalid(ECDSA_FAILURE);
  return { ...failed, hash, key: importKey(signed) };
}

function getRuntime(): "Deno" | "Node.js" {
  return "Deno" in globalThis ? "Deno" : "Node.js";
}

/** Imports the key; undefined when the runtime refuses it. */
function importKey({ key, keepKey = false }: SignedBytes): KeyObject | undefined {
  const known = keptKeys.get(key);
  if (known !== undefined) return known;
  try {
    // The key is PEM text, because Node 24 throws and catches two errors per key object: 13 µs instead of 36 µs.
    const imported = createPublicKey(encodePem("PUBLIC KEY", key.der));
    if (keepKey) keptKeys.set(key, imported);
    return imported;
  } catch {
    return undefined;
  }
}
