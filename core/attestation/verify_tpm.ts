/** Decides whether the evidence and the answer of a TPM are accepted: its keys, its quote, its endorsement certificate. */
import { createHash } from "node:crypto";
import { err, ok, type Result } from "../lib/result.ts";
import { type NodeName, parseNodeName } from "../machine/node_name.ts";
import { type Bytes, equalBytes } from "../pki/asn1/der.ts";
import { type PublicKeyFacts, publicKeysEqual } from "../pki/keys/public_key.ts";
import { findSignatureFault } from "../pki/keys/signature.ts";
import type { SignatureAlgorithmFacts } from "../pki/keys/signature_algorithm.ts";
import { parseCaBundle } from "../pki/x509/ca_bundle.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { verifyChain } from "../pki/x509/chain.ts";
import { SUBJECT_ALT_NAME_OID } from "../pki/x509/subject_alternative_names.ts";
import {
  computeTpmName,
  joinTpm,
  parsePublicArea,
  parseQuote,
  parseTpmKey,
  parseTpmSignature,
  TPM_ALGORITHM,
  TPM_ATTRIBUTE,
} from "./tpm_structures.ts";

/** A key that signs only what its TPM made, and that never leaves the TPM. */
export interface AttestationKey {
  /** The name by which a credential is bound to the key. */
  readonly name: Bytes;
  /** The scheme that the key is limited to (TPM_ALG_ID). */
  readonly scheme: number;
  readonly algorithm: SignatureAlgorithmFacts;
  readonly publicKey: PublicKeyFacts;
}

const REQUIRED_ATTRIBUTES = ["fixedTPM", "fixedParent", "sensitiveDataOrigin", "restricted", "sign"] as const;
/** Anyone can let a server verify with a key: a longer one than TPMs have would cost milliseconds. */
const RSA_BITS = { least: 2048, most: 4096 };
const PCR_BYTES = 32;

const ALGORITHMS: ReadonlyMap<number, SignatureAlgorithmFacts> = new Map([
  [TPM_ALGORITHM.rsassa, { name: "SHA256-RSA", keyAlgorithm: "RSA", hash: "sha256", isPss: false }],
  [TPM_ALGORITHM.rsapss, { name: "SHA256-RSAPSS", keyAlgorithm: "RSA", hash: "sha256", isPss: true }],
  [TPM_ALGORITHM.ecdsa, { name: "ECDSA-SHA256", keyAlgorithm: "ECDSA", hash: "sha256", isPss: false }],
]);

/**
 * Parses the attestation key of a machine (TPMT_PUBLIC). A key that its TPM may not vouch for is refused: a TPM lets only a
 * restricted key sign quotes that are genuine, and only a key with the fixed attributes stays in one TPM.
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

/** A quote, and what it must contain. */
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

/** Verifies a quote. The error says what is wrong, for a log. */
export function verifyQuote(
  { attestationKey, quote, signature, qualifyingData, pcrs, pcrValues }: QuoteToVerify,
): Result<undefined, string> {
  const parsed = parseQuote(quote);
  if (!parsed.ok) return err(`the quote is malformed: ${parsed.error}`);
  const signed = parseTpmSignature(signature);
  if (!signed.ok) return err(`the signature of the quote is malformed: ${signed.error}`);
  const { algorithm, publicKey: key, scheme } = attestationKey;
  if (signed.value.algorithm !== scheme || signed.value.hash !== TPM_ALGORITHM.sha256) {
    return err("the signature of the quote does not have the scheme of the attestation key");
  }
  const checks = { allowSha1: false, allowMlDsa: false };
  const fault = findSignatureFault({ algorithm, key, data: quote, signature: signed.value.signature, ...checks });
  if (fault !== undefined) return err(`the quote is not signed by the attestation key: ${fault.message}`);
  if (!equalBytes(parsed.value.qualifyingData, qualifyingData)) return err("the quote answers another challenge");
  const wanted = [...new Set(pcrs)].sort((a, b) => a - b);
  const [selection, ...others] = parsed.value.selections;
  const isWanted = selection?.hash === TPM_ALGORITHM.sha256 && others.length === 0 &&
    selection.pcrs.join() === wanted.join();
  if (!isWanted) return err("the quote has other PCRs than those of the challenge");
  const values = wanted.map((pcr) => pcrValues.get(pcr) ?? new Uint8Array(0));
  if (values.some(({ length }) => length !== PCR_BYTES)) {
    return err("the value of a PCR is missing or not a SHA-256 hash");
  }
  const digest = createHash("sha256").update(joinTpm(...values)).digest();
  return equalBytes(parsed.value.pcrDigest, digest)
    ? ok(undefined)
    : err("the values of the PCRs are not those quoted");
}

/** The CAs of endorsement certificates that name their machines, and the field that has the name of the node. */
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
 * Verifies an endorsement certificate and returns the node that it names, by the first authority that issued it. An
 * issuer that does not control the field, such as the vendor of a chip, must not be listed: it would admit every chip.
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
    return err("the endorsement certificate is that of another key");
  }
  // Another certificate of the same CA may be for a key outside of a TPM.
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

/** Reads the one value of a field, which must be a node name as it is written in Kubernetes. */
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
