/**
 * Validates `status.certificate` as the API does (`pkg/apis/certificates/validation/validation.go`), and finds its
 * leaf. A client uses this file to compare the leaf with its request, because a signer may add names and usages but not
 * omit them, and to decide whether to replace an existing certificate.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { type CertificateFacts, parseCertificates } from "../pki/x509/certificate.ts";
import { decodeBase64 } from "../lib/encodings.ts";
import { findPemBlock, type PemBlock } from "../pki/asn1/pem.ts";
import { goQuote } from "../lib/go_text.ts";
import { FifoCache } from "../lib/bounded.ts";
import type { Result } from "../lib/result.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { canonicalIp } from "../lib/ip_address.ts";
import { formatName, type SubjectFields } from "../pki/x509/names.ts";
import type { AlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { TLS_USAGE_OID, toExtendedKeyUsageOids, toKeyUsageBits } from "../pki/x509/usages.ts";
import { formatTime } from "../kube/meta.ts";
import { findKeyAlgorithm, isPrivateKeyAlgorithm, type KeyAlgorithm, publicKeysEqual } from "../pki/keys/keys.ts";

/** A parsed block of `status.certificate`, and the text after it. */
interface CertificateBlock {
  readonly block: PemBlock;
  /** The certificates in the block, whatever its label. */
  readonly certificates: Result<readonly CertificateFacts[], string>;
  readonly rest: string;
}

/**
 * A cache of first blocks. A new certificate is parsed by the validation of the write and again after the write, which
 * costs 0.05 ms and 25 kB each time. Only the validation parses the certificates above the leaf. A leaf with an
 * RSA-4096 key and its issuer have about 6,000 characters.
 */
const firstBlocks = new FifoCache<CertificateBlock>({ maxEntries: 256, maxKeyLength: 8_192 });

/** The longest path that OpenSSL accepts; kube-apiserver has no limit. */
const MAX_CERTIFICATES = 100;

/**
 * Finds the fault of a non-empty `status.certificate` (base64 of PEM), or undefined. Text around the blocks is allowed. The
 * API does not check whether the certificate matches the request, because that is the signer's task.
 */
export function findCertificateFault(certificate: string): string | undefined {
  let blocks = 0;
  let count = 0;
  for (let found = readFirstBlock(certificate); found !== undefined; found = readBlock(found.rest)) {
    const { block, certificates } = found;
    if (block.label !== "CERTIFICATE") {
      return `only CERTIFICATE PEM blocks are allowed, found ${goQuote(block.label)}`;
    }
    if (Object.keys(block.headers).length > 0) return "no PEM block headers are permitted";
    if (!certificates.ok) return certificates.error;
    if (certificates.value.length === 0) return "found CERTIFICATE PEM block containing 0 certificates";
    blocks += 1;
    count += certificates.value.length;
    if (count > MAX_CERTIFICATES) return `too many certificates: limit is ${MAX_CERTIFICATES}`;
  }
  return blocks === 0 ? "must contain at least one CERTIFICATE PEM block" : undefined;
}

/** Finds the leaf of `status.certificate` (base64 of PEM), the first certificate of the first block; undefined if malformed. */
export function findLeafCertificate(certificate: string): CertificateFacts | undefined {
  const certificates = readFirstBlock(certificate)?.certificates;
  return certificates?.ok === true ? certificates.value[0] : undefined;
}

/**
 * Computes the SHA-256 (hex) of the first PEM block of `status.certificate`, which is that of the leaf unless the block
 * holds several certificates; undefined without a block. It is ten times faster than parsing the leaf.
 */
export function hashFirstBlock(certificate: string): string | undefined {
  const block = findPemBlock(decodePem(certificate))?.block;
  return block === undefined ? undefined : hash("sha256", block.bytes);
}

/** The difference in seconds that is always tolerated (`pkg/registry/certificates/certificates/storage/metrics.go`). */
const TOLERANCE_SECONDS = 300;

/** The divisor for a tolerance of five percent, in addition to the absolute tolerance. */
const TOLERANCE_DIVISOR = 20;

/**
 * Classifies whether the signer honored the requested lifetime of a CSR whose certificate has just been set. The result
 * is `unrequested` without `expirationSeconds` or with a malformed certificate.
 */
export function classifyDuration(csr: CertificateSigningRequest): "unrequested" | "honored" | "ignored" {
  const requested = csr.spec.expirationSeconds;
  const leaf = csr.status.certificate === undefined ? undefined : findLeafCertificate(csr.status.certificate);
  if (requested === undefined || leaf === undefined) return "unrequested";
  const issued = (leaf.notAfter.getTime() - leaf.notBefore.getTime()) / 1000;
  return Math.abs(issued - requested) < TOLERANCE_SECONDS + requested / TOLERANCE_DIVISOR ? "honored" : "ignored";
}

function readFirstBlock(certificate: string): CertificateBlock | undefined {
  const known = firstBlocks.get(certificate);
  if (known !== undefined) return known;
  const first = readBlock(decodePem(certificate));
  if (first?.block.label === "CERTIFICATE") firstBlocks.set(certificate, first);
  return first;
}

function decodePem(certificate: string): string {
  return Buffer.from(decodeBase64(certificate) ?? new Uint8Array()).toString("latin1");
}

function readBlock(pem: string): CertificateBlock | undefined {
  const found = findPemBlock(pem);
  return found === undefined ? undefined : { ...found, certificates: parseCertificates(found.block.bytes) };
}

/** The requested subject, names and usages; absent parts are not compared. */
export interface RequestedCertificate extends Partial<AlternativeNames> {
  readonly subject: SubjectFields;
  readonly usages?: readonly string[];
}

const NAMES = ["dnsNames", "ipAddresses", "emailAddresses", "uris"] as const;

/** Describes the first requested property that the certificate lacks; undefined when it has all of them. */
export function findIssuedFault(leaf: CertificateFacts, requested: RequestedCertificate): string | undefined {
  return findSubjectFault(leaf, requested.subject) ?? findNamesFault(leaf, requested) ??
    findUsagesFault(leaf, requested.usages ?? []);
}

function findSubjectFault(leaf: CertificateFacts, subject: SubjectFields): string | undefined {
  const { commonName = "", serialNumber = "", ...lists } = subject;
  const fields = Object.entries(lists) as [keyof typeof lists, readonly string[]][];
  const lacks = fields.some(([field, values]) => {
    const issued = new Set(leaf.subject[field]);
    return values.some((value) => !issued.has(value));
  });
  if (leaf.subject.commonName === commonName && !lacks && ["", leaf.subject.serialNumber].includes(serialNumber)) {
    return undefined;
  }
  return `it is for "${formatName(leaf.subject)}", but the request was for "${formatName(subject)}"`;
}

function findNamesFault(leaf: CertificateFacts, requested: RequestedCertificate): string | undefined {
  for (const field of NAMES) {
    const issued = new Set(leaf[field].map(normalizeName));
    const missing = requested[field]?.find((name) => !issued.has(normalizeName(name)));
    if (missing !== undefined) return `it lacks ${missing}`;
  }
  return undefined;
}

/**
 * Finds a requested usage that the certificate does not allow. An absent extension restricts nothing (RFC 5280
 * §4.2.1.3, §4.2.1.12).
 */
function findUsagesFault(leaf: CertificateFacts, usages: readonly string[]): string | undefined {
  const purposes = leaf.extendedKeyUsages;
  for (const usage of usages) {
    const [bit] = toKeyUsageBits([usage]);
    const [purpose] = toExtendedKeyUsageOids([usage]);
    const isFree = purposes.length === 0 || purposes.includes(TLS_USAGE_OID.any);
    const lacksBit = bit !== undefined && leaf.keyUsages.length > 0 && !leaf.keyUsages.includes(bit);
    if (lacksBit || (purpose !== undefined && !isFree && !purposes.includes(purpose))) {
      return `it lacks the usage "${usage}"`;
    }
  }
  return undefined;
}

/** Normalizes host names and addresses, which have more than one spelling. */
function normalizeName(name: string): string {
  return canonicalIp(name) ?? name.toLowerCase();
}

/** The existing contents of the certificate's file. */
export type ExistingCredentials =
  | { readonly kind: "none" }
  | { readonly kind: "usable"; readonly leaf: CertificateFacts }
  | { readonly kind: "unusable"; readonly reason: string };

/** The requested certificate, including its key. */
export interface RequestedCredentials extends RequestedCertificate {
  /** A type of key, or one particular key by its DER SubjectPublicKeyInfo. */
  readonly key?: KeyAlgorithm | Uint8Array<ArrayBuffer>;
}

/** When an existing certificate is replaced. */
export interface RenewalOptions {
  /** Whether an existing certificate is always replaced. */
  readonly isForced: boolean;
  /** The reason why it is always replaced; by default that the user has requested it. */
  readonly forcedBy?: string | undefined;
  /**
   * Replace the certificate when its remaining lifetime is shorter, or when it does not match the request; keep it
   * otherwise.
   */
  readonly renewBeforeMs?: number | undefined;
}

/** Whether a certificate is requested, and why. */
export type RenewalVerdict =
  | { readonly kind: "request"; readonly reason: string }
  | { readonly kind: "keep" }
  /** A certificate exists, and the options do not allow replacing it. */
  | { readonly kind: "exists" };

/** Decides whether to request a certificate. Without options an existing file is never replaced, valid or not. */
export function decideRenewal(
  existing: ExistingCredentials,
  requested: RequestedCredentials,
  options: RenewalOptions,
  now: Date,
): RenewalVerdict {
  if (existing.kind === "none") return request("there is none yet");
  if (options.isForced) return request(options.forcedBy ?? "as requested");
  if (options.renewBeforeMs === undefined) return { kind: "exists" };
  if (existing.kind === "unusable") return request(existing.reason);
  const fault = findIssuedFault(existing.leaf, requested) ?? findKeyFault(existing.leaf, requested.key);
  if (fault !== undefined) return request(fault);
  const { notAfter } = existing.leaf;
  if (notAfter.getTime() - options.renewBeforeMs > now.getTime()) return { kind: "keep" };
  return request(`it ${notAfter < now ? "expired" : "expires"} at ${formatTime(notAfter)}`);
}

function request(reason: string): RenewalVerdict {
  return { kind: "request", reason };
}

function findKeyFault(leaf: CertificateFacts, key: RequestedCredentials["key"]): string | undefined {
  if (key === undefined) return undefined;
  if (typeof key !== "string") return publicKeysEqual(leaf.publicKeyDer, key) ? undefined : "it is for another key";
  const { keyAlgorithm: algorithm, keyBits: bits } = leaf;
  const found = isPrivateKeyAlgorithm(algorithm) ? findKeyAlgorithm({ algorithm, bits }) : undefined;
  return found === key
    ? undefined
    : `its key is ${found ?? `${algorithm} of ${bits} bits`}, but the request was for ${key}`;
}
