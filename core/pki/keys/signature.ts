/**
 * Signature algorithms with their OIDs, their Go names and their DER, and the verification of signatures. It accepts
 * what Go's x509 `checkSignature` accepts, with the same error texts.
 */
import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import type { SignatureAlgorithm } from "../../ports.ts";
import { type Bytes, contextTag, decodeOid, decodeSmallInteger, DerError, DerReader, TAG } from "../asn1/der.ts";
import { isMlDsa } from "./key_names.ts";
import { hasMlDsa, ML_DSA, NO_ML_DSA } from "./ml_dsa.ts";
import { encodePem } from "../asn1/pem.ts";
import type { PublicKeyAlgorithm, PublicKeyFacts } from "./public_key.ts";
import { encodeNull, encodeOid, encodeSequence } from "../asn1/der_writer.ts";

/** The input of a verification. */
export interface SignedBytes {
  readonly algorithm: SignatureAlgorithmFacts;
  readonly key: PublicKeyFacts;
  readonly data: Bytes;
  readonly signature: Bytes;
  /** Whether SHA-1 is accepted, as Go does for requests but not for certificates. */
  readonly allowSha1: boolean;
  /** Whether ML-DSA is accepted. The Go version of kube-apiserver 1.37, before 1.27, does not implement it. */
  readonly allowMlDsa: boolean;
  /** Whether the imported key is cached for further signatures. The import takes half the time of a verification. */
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

/** The reason why a signature is not accepted, with Go's message. */
interface SignatureFault {
  /** `invalid` for a wrong signature; `unverified` for one that cannot be verified. */
  readonly kind: "invalid" | "unverified";
  readonly message: string;
}

/** Verifies a signature; undefined when it is valid. */
export function findSignatureFault(signed: SignedBytes): SignatureFault | undefined {
  const { hash, key, failure } = planCheck(signed);
  try {
    return key !== undefined && verify(hash, signed.data, key, signed.signature) ? undefined : failure;
  } catch {
    // The signature is malformed. In Go such a signature just does not verify.
    return failure;
  }
}

/** Verifies a signature as `findSignatureFault` does, but on another thread if the runtime supports it. */
export async function findSignatureFaultInBackground(signed: SignedBytes): Promise<SignatureFault | undefined> {
  const { hash, key, failure } = planCheck(signed);
  if (key === undefined) return failure;
  // For an input that it refuses, the runtime throws or calls back with an error.
  const isVerified = await new Promise<boolean>((resolve) =>
    verify(hash, signed.data, key, signed.signature, (_error, isValid) => resolve(isValid))
  ).catch(() => false);
  return isVerified ? undefined : failure;
}

/** How a signature is verified. Without a key, `failure` is already the result. */
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
      const hasRightLength = ML_DSA.some((parameters) =>
        parameters.name === key.algorithm && parameters.signatureBytes === signature.length
      );
      const message = `x509: ML-DSA verification failure: mldsa: invalid signature${hasRightLength ? "" : " length"}`;
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
export function isValidSignature(
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

/** The hash functions of supported signatures. */
export type HashName = "sha1" | "sha256" | "sha384" | "sha512";

/** A signature algorithm, parsed from an AlgorithmIdentifier. */
export interface SignatureAlgorithmFacts {
  /** Go's name, such as `ECDSA-SHA256`; the OID when Go has none. */
  readonly name: string;
  readonly keyAlgorithm: PublicKeyAlgorithm;
  readonly hash: HashName | "md5" | "none";
  readonly isPss: boolean;
}

interface Row extends SignatureAlgorithmFacts {
  readonly oid: string;
}

function row(
  name: string,
  oid: string,
  keyAlgorithm: PublicKeyAlgorithm,
  hash: SignatureAlgorithmFacts["hash"],
  isPss = false,
): Row {
  return Object.freeze({ name, oid, keyAlgorithm, hash, isPss });
}

const PSS_OID = "1.2.840.113549.1.1.10";
const MGF1_OID = "1.2.840.113549.1.1.8";

/** RFC 3279 §2.2, RFC 4055 §5, RFC 5758 §3, RFC 8410 §3, RFC 9881 §2 (`crypto/x509/x509.go`; ML-DSA since Go 1.27). */
const ROWS: readonly Row[] = [
  row("MD5-RSA", "1.2.840.113549.1.1.4", "RSA", "md5"),
  row("SHA1-RSA", "1.2.840.113549.1.1.5", "RSA", "sha1"),
  // The ISO name of the same algorithm, written by old Microsoft tools.
  row("SHA1-RSA", "1.3.14.3.2.29", "RSA", "sha1"),
  row("SHA256-RSA", "1.2.840.113549.1.1.11", "RSA", "sha256"),
  row("SHA384-RSA", "1.2.840.113549.1.1.12", "RSA", "sha384"),
  row("SHA512-RSA", "1.2.840.113549.1.1.13", "RSA", "sha512"),
  row("DSA-SHA1", "1.2.840.10040.4.3", "DSA", "sha1"),
  row("DSA-SHA256", "2.16.840.1.101.3.4.3.2", "DSA", "sha256"),
  row("ECDSA-SHA1", "1.2.840.10045.4.1", "ECDSA", "sha1"),
  row("ECDSA-SHA256", "1.2.840.10045.4.3.2", "ECDSA", "sha256"),
  row("ECDSA-SHA384", "1.2.840.10045.4.3.3", "ECDSA", "sha384"),
  row("ECDSA-SHA512", "1.2.840.10045.4.3.4", "ECDSA", "sha512"),
  row("Ed25519", "1.3.101.112", "Ed25519", "none"),
  ...ML_DSA.map(({ name, oid }) => row(name, oid, name, "none")),
];

const PSS_ROWS: readonly (Row & { readonly hashOid: string; readonly saltLength: number })[] = [
  { ...row("SHA256-RSAPSS", PSS_OID, "RSA", "sha256", true), hashOid: "2.16.840.1.101.3.4.2.1", saltLength: 32 },
  { ...row("SHA384-RSAPSS", PSS_OID, "RSA", "sha384", true), hashOid: "2.16.840.1.101.3.4.2.2", saltLength: 48 },
  { ...row("SHA512-RSAPSS", PSS_OID, "RSA", "sha512", true), hashOid: "2.16.840.1.101.3.4.2.3", saltLength: 64 },
];

const ROW_OF_OID: ReadonlyMap<string, Row> = new Map(ROWS.map((entry) => [entry.oid, entry]));
const ROW_OF_NAME: ReadonlyMap<string, Row> = new Map(ROWS.toReversed().map((entry) => [entry.name, entry]));

/** Parses the content of an AlgorithmIdentifier; an algorithm that Go does not know has the key algorithm `unknown`. */
export function parseSignatureAlgorithm(content: Bytes): SignatureAlgorithmFacts {
  const reader = new DerReader(content);
  const oid = decodeOid(reader.read(TAG.oid, "ObjectIdentifier").content);
  const parameters = reader.isAtEnd() ? undefined : reader.readAny();
  const unknown: SignatureAlgorithmFacts = { name: oid, keyAlgorithm: "unknown", hash: "none", isPss: false };
  if (oid === PSS_OID) return (parameters && findPss(parameters.raw)) ?? unknown;
  const known = ROW_OF_OID.get(oid) ?? unknown;
  return known.hash === "none" && parameters !== undefined ? unknown : known;
}

/** Encodes the AlgorithmIdentifier of an algorithm; RSA has NULL parameters, the others have none. */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm | "SHA384-RSA" | "SHA512-RSA"): Bytes {
  const entry = ROW_OF_NAME.get(algorithm);
  if (entry === undefined) throw new TypeError(`no such signature algorithm: ${algorithm}`);
  return entry.keyAlgorithm === "RSA"
    ? encodeSequence(encodeOid(entry.oid), encodeNull())
    : encodeSequence(encodeOid(entry.oid));
}

/**
 * Finds the RSASSA-PSS algorithm of the parameters. As in Go there are three: MGF1 with the message's hash, a salt as
 * long as the hash, the default trailer.
 */
function findPss(parameters: Bytes): SignatureAlgorithmFacts | undefined {
  try {
    const reader = new DerReader(parameters).enter(TAG.sequence, "pssParameters");
    const hash = readHash(reader.enter(contextTag(0, true), "Hash"));
    const mask = reader.enter(contextTag(1, true), "MGF").enter(TAG.sequence, "AlgorithmIdentifier");
    const maskOid = decodeOid(mask.read(TAG.oid, "ObjectIdentifier").content);
    const maskHash = readHash(mask);
    const salt = reader.enter(contextTag(2, true), "SaltLength").read(TAG.integer, "int").content;
    const trailer = reader.readOptional(contextTag(3, true));
    const trailerField = trailer === undefined
      ? 1
      : decodeSmallInteger(trailer.enter().read(TAG.integer, "int").content);
    if (maskOid !== MGF1_OID || maskHash !== hash || trailerField !== 1) return undefined;
    const saltLength = decodeSmallInteger(salt);
    return PSS_ROWS.find((entry) => entry.hashOid === hash && entry.saltLength === saltLength);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/** Parses the hash of an AlgorithmIdentifier whose parameters are absent or NULL. */
function readHash(reader: DerReader): string {
  const algorithm = reader.enter(TAG.sequence, "AlgorithmIdentifier");
  const oid = decodeOid(algorithm.read(TAG.oid, "ObjectIdentifier").content);
  if (!algorithm.isAtEnd()) algorithm.read(TAG.null, "NULL");
  return oid;
}
