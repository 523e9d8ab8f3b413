/**
 * The proof by a TPM as a server requests and verifies it: its keys, its quote, its endorsement certificate, and a
 * secret that only the TPM with an endorsement key recovers, and only while the key with a given name is loaded in it
 * (MakeCredential: TCG, Trusted Platform Module Library, part 1, "Credential Protection").
 */
import { createCipheriv, createHash, createHmac, webcrypto } from "node:crypto";
import { concatBytes, encodeUint } from "../lib/encodings.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type NodeName, parseNodeName } from "../machine/node_name.ts";
import { type Bytes, equalBytes, toResult } from "../pki/asn1/der.ts";
import { parsePublicKey, type PublicKeyFacts, publicKeysEqual } from "../pki/keys/public_key.ts";
import { findSignatureFault, type SignatureAlgorithmFacts } from "../pki/keys/signature.ts";
import { parseCaBundle } from "../pki/x509/ca_bundle.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { verifyChain } from "../pki/x509/chain.ts";
import { SUBJECT_ALT_NAME_OID } from "../pki/x509/subject_alternative_names.ts";
import {
  computeTpmName,
  parsePublicArea,
  parseQuote,
  parseTpmKey,
  parseTpmSignature,
  TPM_ALGORITHM,
  TPM_ATTRIBUTE,
  tpmBuffer,
} from "./tpm_structures.ts";
import { AppError } from "../errors.ts";
import type { Random } from "../ports.ts";

/** A key that signs only structures of its TPM and never leaves the TPM. */
export interface AttestationKey {
  /** The name that binds a credential to the key. */
  readonly name: Bytes;
  /** The scheme that the key is limited to (TPM_ALG_ID). */
  readonly scheme: number;
  readonly algorithm: SignatureAlgorithmFacts;
  readonly publicKey: PublicKeyFacts;
}

const REQUIRED_ATTRIBUTES = ["fixedTPM", "fixedParent", "sensitiveDataOrigin", "restricted", "sign"] as const;
/** Anyone can make a server verify a signature, which would take milliseconds with a longer key than TPMs have. */
const RSA_BITS = { least: 2048, most: 4096 };
const PCR_BYTES = 32;

const ALGORITHMS: ReadonlyMap<number, SignatureAlgorithmFacts> = new Map([
  [TPM_ALGORITHM.rsassa, { name: "SHA256-RSA", keyAlgorithm: "RSA", hash: "sha256", isPss: false }],
  [TPM_ALGORITHM.rsapss, { name: "SHA256-RSAPSS", keyAlgorithm: "RSA", hash: "sha256", isPss: true }],
  [TPM_ALGORITHM.ecdsa, { name: "ECDSA-SHA256", keyAlgorithm: "ECDSA", hash: "sha256", isPss: false }],
]);

/**
 * Parses the attestation key of a machine (TPMT_PUBLIC). The required attributes make its quotes trustworthy: a
 * restricted key cannot sign forged quotes, and a key with the fixed attributes cannot leave its TPM.
 */
export function readAttestationKey(publicArea: Bytes): Result<AttestationKey, string> {
  const parsed = parsePublicArea(publicArea);
  if (!parsed.ok) return err(`the attestation key is malformed: ${parsed.error}`);
  const { attributes, nameAlgorithm, scheme } = parsed.value;
  const missing = REQUIRED_ATTRIBUTES.find((name) => (attributes & TPM_ATTRIBUTE[name]) === 0);
  if (missing !== undefined) return err(`the attestation key does not have the attribute ${missing}`);
  if ((attributes & TPM_ATTRIBUTE.decrypt) !== 0) return err("the attestation key has the attribute decrypt");
  const algorithm = scheme?.hash === TPM_ALGORITHM.sha256 ? ALGORITHMS.get(scheme.algorithm) : undefined;
  if (scheme === undefined || algorithm === undefined || nameAlgorithm !== TPM_ALGORITHM.sha256) {
    return err("the attestation key does not use SHA-256 with RSASSA, RSAPSS or ECDSA");
  }
  const key = parseTpmKey(parsed.value);
  if (!key.ok) return err(`the attestation key is malformed: ${key.error}`);
  if (key.value.algorithm !== algorithm.keyAlgorithm) return err("the attestation key has the scheme of another type");
  const { algorithm: type, bits, weakness } = key.value;
  if (type === "RSA" && (bits < RSA_BITS.least || bits > RSA_BITS.most)) {
    return err(`the attestation key has ${bits} bits: want ${RSA_BITS.least} to ${RSA_BITS.most}`);
  }
  if (weakness !== undefined) return err(`the attestation key cannot be used: ${weakness}`);
  return ok({ name: computeTpmName(publicArea), scheme: scheme.algorithm, algorithm, publicKey: key.value });
}

/** A quote, and its required contents. */
export interface QuoteToVerify {
  readonly attestationKey: AttestationKey;
  /** The quote as the TPM signed it (TPMS_ATTEST). */
  readonly quote: Bytes;
  /** The signature of the quote (TPMT_SIGNATURE). */
  readonly signature: Bytes;
  readonly qualifyingData: Uint8Array;
  /** The PCRs that the machine had to quote. */
  readonly pcrs: readonly number[];
  /** Their values in the SHA-256 bank, as the machine reports them. */
  readonly pcrValues: ReadonlyMap<number, Uint8Array>;
}

/** Verifies a quote. The error is for a log. */
export function verifyQuote(
  { attestationKey, quote, signature, qualifyingData, pcrs, pcrValues }: QuoteToVerify,
): Result<undefined, string> {
  const parsed = parseQuote(quote);
  if (!parsed.ok) return err(`the quote is malformed: ${parsed.error}`);
  const signed = parseTpmSignature(signature);
  if (!signed.ok) return err(`the signature of the quote is malformed: ${signed.error}`);
  const { algorithm, publicKey: key, scheme } = attestationKey;
  if (signed.value.algorithm !== scheme || signed.value.hash !== TPM_ALGORITHM.sha256) {
    return err("the signature of the quote does not use the scheme of the attestation key");
  }
  const checks = { allowSha1: false, allowMlDsa: false };
  const fault = findSignatureFault({ algorithm, key, data: quote, signature: signed.value.signature, ...checks });
  if (fault !== undefined) return err(`the quote is not signed by the attestation key: ${fault.message}`);
  if (!equalBytes(parsed.value.qualifyingData, qualifyingData)) return err("the quote answers another challenge");
  const wanted = [...new Set(pcrs)].sort((a, b) => a - b);
  const [selection, ...others] = parsed.value.selections;
  const isWanted = selection?.hash === TPM_ALGORITHM.sha256 && others.length === 0 &&
    selection.pcrs.join() === wanted.join();
  if (!isWanted) return err("the quote does not have the PCRs of the challenge");
  const values = wanted.map((pcr) => pcrValues.get(pcr) ?? new Uint8Array(0));
  if (values.some(({ length }) => length !== PCR_BYTES)) {
    return err("the value of a PCR is missing or not a SHA-256 hash");
  }
  const digest = createHash("sha256").update(concatBytes(...values)).digest();
  return equalBytes(parsed.value.pcrDigest, digest)
    ? ok(undefined)
    : err("the values of the PCRs do not match the quote");
}

/** The CAs of endorsement certificates that identify machines, and the field with the name of the node. */
export interface EndorsementAuthority {
  readonly certificates: readonly CertificateFacts[];
  readonly nodeName: "commonName" | "dnsName";
}

/** The extended key usage of endorsement certificates (`tcg-kp-EKCertificate`). */
const ENDORSEMENT_USAGE = "2.23.133.8.1";

/** Parses the CAs of an inventory: PEM certificates that may sign others. */
export function parseEndorsementAuthority(
  pem: string,
  nodeName: EndorsementAuthority["nodeName"],
): Result<EndorsementAuthority, string> {
  const bundle = parseCaBundle(pem);
  if (!bundle.ok) return bundle;
  const leaf = bundle.value.findIndex(({ isCa }) => !isCa);
  return leaf < 0 ? ok({ certificates: bundle.value, nodeName }) : err(`certificate ${leaf + 1} is not that of a CA`);
}

/**
 * Verifies an endorsement certificate and returns the node in it, as the first authority that issued it defines. An
 * issuer that does not control the field, such as the vendor of a chip, must not be listed, because it would admit
 * every chip.
 */
export function verifyEndorsement(
  certificate: Bytes,
  endorsementKey: Bytes,
  authorities: readonly EndorsementAuthority[],
  now: Date,
): Result<NodeName, string> {
  const parsed = parseCertificate(certificate);
  if (!parsed.ok) return err(`the endorsement certificate is malformed: ${parsed.error}`);
  const facts = parsed.value;
  if (!publicKeysEqual(facts.publicKeyDer, endorsementKey)) {
    return err("the endorsement certificate is for another key");
  }
  // The same CA may also certify keys outside of TPMs.
  if (facts.isCa || !facts.extendedKeyUsages.includes(ENDORSEMENT_USAGE)) {
    return err("the certificate is not for an endorsement key");
  }
  // The alternative name is critical where the subject is empty, and describes the chip.
  const unknownCriticalExtensions = facts.unknownCriticalExtensions.filter((oid) => oid !== SUBJECT_ALT_NAME_OID);
  const leaf = { ...facts, unknownCriticalExtensions };
  let fault = "no authority is listed";
  for (const { certificates, nodeName } of authorities) {
    const chain = verifyChain(leaf, [], certificates, { at: now });
    if (chain.ok) return readEndorsedName(facts, nodeName);
    fault = chain.error;
  }
  return err(`the endorsement certificate is not accepted: ${fault}`);
}

/** Reads the only value of a field, which must be a node name in Kubernetes' spelling. */
function readEndorsedName(
  { subject, dnsNames }: CertificateFacts,
  field: EndorsementAuthority["nodeName"],
): Result<NodeName, string> {
  const names = field === "dnsName" ? dnsNames : [subject.commonName, ...subject.overridden.map(({ value }) => value)];
  const [name = ""] = names;
  if (names.length > 1) return err(`the endorsement certificate has several values of ${field}`);
  const node = parseNodeName(name);
  if (node.ok && node.value !== name) {
    return err(`${field} of the endorsement certificate is "${name}": want "${node.value}"`);
  }
  return node.ok ? node : err(`${field} of the endorsement certificate: ${node.error}`);
}

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
 * Encrypts a secret of at most 32 bytes for the TPM with the endorsement key, which recovers it only with the key named
 * `objectName`. The endorsement key has a standard template: SHA-256, and AES-128 in CFB mode. Rejects with AppError
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

/** Chooses a seed and encrypts it for an RSA key, or derives one by key agreement with an ECC key. */
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
  const peerKey = await subtle.importKey("spki", key.der, curve, false, []);
  const ephemeral = await subtle.generateKey(curve, false, ["deriveBits"]);
  const shared = await subtle.deriveBits({ name: curve.name, public: peerKey }, ephemeral.privateKey, 8 * HASH_BYTES);
  const point = new Uint8Array(await subtle.exportKey("raw", ephemeral.publicKey));
  const [x, y] = [point.subarray(1, 1 + HASH_BYTES), point.subarray(1 + HASH_BYTES)];
  // KDFe (part 1, "Key Derivation Function for Elliptic Curve"). A single round yields all the bits.
  const kdf = createHash("sha256").update(encodeUint(4, 1)).update(new Uint8Array(shared)).update(IDENTITY);
  const seed = kdf.update(x).update(key.keyBytes.subarray(1, 1 + HASH_BYTES)).digest();
  return { seed: new Uint8Array(seed), encrypted: concatBytes(tpmBuffer(x), tpmBuffer(y)) };
}

/** KDFa (part 1, "Key Derivation Function"). A single round yields enough bits. */
function deriveKey(seed: Bytes, label: string, context: Bytes, length: number): Uint8Array {
  const hmac = createHmac("sha256", seed).update(encodeUint(4, 1)).update(`${label}\0`).update(context);
  return hmac.update(encodeUint(4, 8 * length)).digest().subarray(0, length);
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
