/**
 * The records of the register of issued certificates. Each record holds the hash of the one before it, so that a record
 * that is changed or removed later breaks the chain.
 */
import { hash } from "node:crypto";
import { formatTime } from "../kube/meta.ts";
import type {
  IssuedCertificateApproval,
  IssuedCertificateRequester,
  IssuedCertificateSource,
  IssuedCertificateSpec,
  IssuedCertificateStatus,
} from "../kube/kinds/tlsboot_v1alpha1.ts";
import { isRecord, omitEmpty, omitUndefined } from "../lib/record.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { formatName } from "../pki/x509/names.ts";
import { listUsages } from "../pki/x509/usages.ts";
import { describeIdentity } from "./certificate_user.ts";

/** The origin of a certificate: how it came to be, and for a request, who requested and who approved it. */
export interface CertificateOrigin {
  readonly source: IssuedCertificateSource;
  /** SHA-256 (hex) of the issuing CA's certificate in DER; absent when the CA is unknown. */
  readonly issuerFingerprint?: string;
  readonly signerName?: string;
  readonly request?: { readonly name?: string; readonly uid?: string };
  readonly requester?: IssuedCertificateRequester;
  readonly approval?: IssuedCertificateApproval;
}

export interface RecordPosition {
  /** One more than the sequence number of the last record; 1 for the first. */
  readonly sequence: number;
  /** The hash of the last record; absent for the first. */
  readonly previousHash?: string;
  readonly issuedAt: Date;
  /** The name of the record of the certificate that this one replaces. */
  readonly replaces?: string;
}

/** The part of a record that does not depend on its position. */
export interface CertificateDescription
  extends
    Omit<IssuedCertificateSpec, "sequence" | "previousHash" | "issuedAt" | "replaces" | "removed">,
    Pick<IssuedCertificateStatus, "identifies"> {}

/** Names have as many digits, so that their order is that of the sequence numbers. */
export const NAME_DIGITS = 10;

/** Returns the name of the record with a sequence number, such as `0000000042`. */
export function formatRecordName(sequence: number): string {
  return String(sequence).padStart(NAME_DIGITS, "0");
}

/**
 * Finds the spec in a record that was parsed from JSON; undefined without a sequence number. The other fields are not
 * checked: the chain needs the bytes as they are, and `verifyRecords` reports what was changed.
 */
export function findRecordSpec(record: unknown): IssuedCertificateSpec | undefined {
  const spec = isRecord(record) ? record["spec"] : undefined;
  if (!isRecord(spec)) return undefined;
  const { sequence } = spec;
  const isPosition = typeof sequence === "number" && Number.isSafeInteger(sequence) && sequence >= 1;
  return isPosition ? spec as unknown as IssuedCertificateSpec : undefined;
}

export function describeIssued(certificate: CertificateFacts, origin: CertificateOrigin): CertificateDescription {
  const { source, issuerFingerprint, signerName, request, requester, approval } = origin;
  const subject = formatName(certificate.subject);
  const { dnsNames, ipAddresses, emailAddresses, uris } = certificate;
  return {
    serialNumber: certificate.serialNumber,
    fingerprint: certificate.sha256Fingerprint,
    issuer: formatName(certificate.issuer),
    ...omitEmpty({ issuerFingerprint, signerName, subject }),
    identifies: describeIdentity(certificate),
    ...omitEmpty({ dnsNames, ipAddresses, emailAddresses, uris, usages: listUsages(certificate) }),
    ...(certificate.isCa ? { isCA: true } : {}),
    publicKeyFingerprint: hash("sha256", certificate.publicKeyDer),
    notBefore: formatTime(certificate.notBefore),
    notAfter: formatTime(certificate.notAfter),
    source,
    ...omitUndefined({ request, requester, approval }),
  };
}

/** Creates the spec of a record, which its hash covers, from its description and its position. */
export function createRecord(description: CertificateDescription, position: RecordPosition): IssuedCertificateSpec {
  const { sequence, previousHash, issuedAt, replaces } = position;
  const { identifies: _identifies, source, request, requester, approval, ...certificate } = description;
  return {
    sequence,
    ...omitUndefined({ previousHash }),
    ...certificate,
    issuedAt: formatTime(issuedAt),
    ...omitUndefined({ source, request, requester, approval, replaces }),
  };
}

export function createRecordStatus({ identifies }: CertificateDescription): IssuedCertificateStatus {
  return omitUndefined({ identifies });
}

/**
 * Computes the hash of a record: SHA-256 in hexadecimal of its spec as canonical JSON (RFC 8785: keys sorted, no spaces).
 * `jq -cSj .spec` prints the same bytes, so that `sha256sum` computes the same hash.
 */
export function hashRecord(spec: IssuedCertificateSpec): string {
  return hash("sha256", encodeCanonicalJson(spec));
}

/** Returns the hash that the next record holds: that of the record, or of the last removed record for a stub. */
export function getChainHash(spec: IssuedCertificateSpec): string {
  return spec.removed?.hash ?? hashRecord(spec);
}

/**
 * Encodes a value as canonical JSON; properties that are undefined are omitted. RFC 8785 section 3.2.3 orders keys by UTF-16
 * code units, as JavaScript sorts them. No field of a record has a name like a number, which JavaScript would put first.
 */
export function encodeCanonicalJson(value: unknown): string {
  return JSON.stringify(withSortedKeys(value)) ?? "null";
}

function withSortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSortedKeys);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, withSortedKeys(value[key])]));
}
