/**
 * The records of the register of issued certificates. Each record holds the hash of the one before it, so a record that
 * is later changed or removed breaks the chain. A CA seals the chain by signing the hash of a record, which depends on
 * all records before it. Records whose certificates expired long ago are replaced by one stub, which preserves the
 * chain.
 */
import { hash } from "node:crypto";
import { formatTime, getName, toObjectKey } from "../kube/meta.ts";
import type {
  IssuedCertificateApproval,
  IssuedCertificateRequester,
  IssuedCertificateSource,
  IssuedCertificateSpec,
  IssuedCertificateStatus,
  RegisterSeal,
  RequestRecord,
} from "../kube/kinds/tlsboot_v1alpha1.ts";
import { isRecord, omitEmpty, omitUndefined } from "../lib/record.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { formatName } from "../pki/x509/names.ts";
import { listUsages } from "../pki/x509/usages.ts";
import { describeIdentity } from "./certificate_user.ts";
import { decodeBase64, encodeBase64 } from "../lib/encodings.ts";
import { type Authority, signText, verifyText } from "../pki/authority/authority.ts";
import { chooseAlgorithm } from "../pki/authority/issue.ts";
import { findCondition } from "../request/phase.ts";
import type { CertificateSigningRequest, PodCertificateRequest } from "../kube/kinds/certificates_v1.ts";
import { DAY_MS } from "../lib/duration.ts";

/** The origin of a certificate, and for a request its requester and its approver. */
export interface CertificateOrigin {
  readonly source: IssuedCertificateSource;
  /** SHA-256 (hex) of the issuing CA's certificate in DER; absent when the CA is unknown. */
  readonly issuerFingerprint?: string;
  readonly signerName?: string;
  readonly request?: { readonly name?: string; readonly uid?: string };
  readonly requester?: IssuedCertificateRequester;
  readonly approval?: IssuedCertificateApproval;
}

interface RecordPosition {
  /** One more than the sequence number of the last record; 1 for the first. */
  readonly sequence: number;
  /** The hash of the last record; absent for the first. */
  readonly previousHash?: string;
  readonly issuedAt: Date;
  /** The name of the record of the certificate that this one replaces. */
  readonly replaces?: string;
}

/** The last record, which the next one follows. */
export interface RegisterHead {
  readonly sequence: number;
  readonly hash: string;
}

/** The part of a record that does not depend on its position. */
export interface CertificateDescription
  extends
    Omit<IssuedCertificateSpec, "sequence" | "previousHash" | "issuedAt" | "replaces" | "removed">,
    Pick<IssuedCertificateStatus, "identifies"> {}

/** The number of digits of a name. It is fixed, so names sort like sequence numbers. */
export const NAME_DIGITS = 10;

/** Returns the name of the record with a sequence number, such as `0000000042`. */
export function formatRecordName(sequence: number): string {
  return String(sequence).padStart(NAME_DIGITS, "0");
}

/**
 * Finds the spec in a record that was parsed from JSON; undefined without a sequence number. The other fields are not
 * checked: the chain needs the bytes unchanged, and `verifyRecords` reports changes.
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

/** Returns the hash for the next record: that of this record, or for a stub that of the last removed record. */
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

/** The part of a record that the plan of a removal reads. */
export type PrunableRecord = Pick<IssuedCertificateSpec, "sequence" | "notAfter" | "removed">;

/** A run of records to remove, by sequence numbers. */
export interface PrunableRun {
  readonly first: number;
  /** The record that the stub replaces. */
  readonly last: number;
}

/**
 * Plans which runs of records become stubs: those whose certificates ended before `endedBefore`, together with adjacent
 * stubs. Records whose end is unknown stay.
 *
 * @param records all records in their order
 */
export function planPruning(records: Iterable<PrunableRecord>, endedBefore: Date): readonly PrunableRun[] {
  const runs: PrunableRun[] = [];
  let run: { first: number; last: number; count: number; stubs: number } | undefined;
  const endRun = (): void => {
    // A single stub is a run that was removed earlier.
    if (run !== undefined && (run.count > 1 || run.stubs === 0)) runs.push({ first: run.first, last: run.last });
    run = undefined;
  };
  for (const { sequence, notAfter, removed } of records) {
    const isStub = removed !== undefined;
    if (isStub || (notAfter !== null && Date.parse(notAfter) < endedBefore.getTime())) {
      run ??= { first: sequence, last: sequence, count: 0, stubs: 0 };
      run.last = sequence;
      run.count += 1;
      run.stubs += isStub ? 1 : 0;
    } else endRun();
  }
  endRun();
  return runs;
}

/**
 * Creates the stub of a run from its first and its last record. It replaces the last record; then the others are
 * removed, the newest first, so an interrupted removal breaks nothing.
 */
export function createStub(
  first: IssuedCertificateSpec,
  last: IssuedCertificateSpec,
  now: Date,
): IssuedCertificateSpec {
  const { previousHash } = first;
  return {
    sequence: last.sequence,
    ...(previousHash === undefined ? {} : { previousHash }),
    notBefore: null,
    notAfter: null,
    issuedAt: null,
    removed: { from: first.removed?.from ?? first.sequence, hash: getChainHash(last), time: formatTime(now) },
  };
}

/** The interval at which a server seals its register even if nothing was issued, to show that nothing is missing. */
export const SEAL_INTERVAL_MS = DAY_MS;

/**
 * Creates the seal of a record with the key of a CA: the one that signs the instance's serving certificate, because
 * clients have that CA in their kubeconfigs. Rejects when signing fails.
 */
export async function createSeal(
  spec: IssuedCertificateSpec,
  { certificate, key }: Pick<Authority, "certificate" | "key">,
  now: Date,
): Promise<RegisterSeal> {
  const time = formatTime(now);
  const signature = await signText("register seal", key, formatSealed(spec, time));
  return {
    time,
    issuerFingerprint: certificate.sha256Fingerprint,
    algorithm: chooseAlgorithm(certificate.publicKey),
    signature: encodeBase64(signature),
  };
}

/** Reports whether the key of a CA made the seal of a record. */
export function isValidSeal(
  spec: IssuedCertificateSpec,
  seal: RegisterSeal,
  { publicKey }: Pick<CertificateFacts, "publicKey">,
): boolean {
  const signature = decodeBase64(seal.signature);
  if (seal.algorithm !== chooseAlgorithm(publicKey) || signature === undefined) return false;
  return verifyText("register seal", publicKey, formatSealed(spec, seal.time ?? ""), signature);
}

function formatSealed(spec: IssuedCertificateSpec, time: string): string {
  return `${spec.sequence}\n${hashRecord(spec)}\n${time}\n`;
}

/** The origin of a request, as far as it is known. */
interface KnownOrigin extends Pick<IssuedCertificateRequester, "tokenID" | "certificateFingerprint"> {
  /** The record of this request, not of an earlier request with its name. */
  readonly record?: RequestRecord | undefined;
}

/** Describes the origin of the certificate of a request, except its CA. */
export function describeRequestOrigin(
  csr: CertificateSigningRequest,
  known: KnownOrigin,
): Omit<CertificateOrigin, "issuerFingerprint"> {
  return {
    source: "CertificateSigningRequest",
    signerName: csr.spec.signerName,
    request: { name: getName(csr), ...omitUndefined({ uid: csr.metadata.uid }) },
    requester: describeRequester(csr, known),
    ...describeApproval(csr, known.record),
  };
}

/** Describes the origin of the certificate of a pod, except its CA. Its request does not contain the requester. */
export function describePodOrigin(request: PodCertificateRequest): Omit<CertificateOrigin, "issuerFingerprint"> {
  return {
    source: "PodCertificateRequest",
    signerName: request.spec.signerName,
    request: { name: toObjectKey(request), ...omitUndefined({ uid: request.metadata.uid }) },
  };
}

function describeRequester(
  { spec: { username, uid, groups } }: CertificateSigningRequest,
  { tokenID, certificateFingerprint, record }: KnownOrigin,
): IssuedCertificateRequester {
  const { address, userAgent, attested } = record?.spec ?? {};
  return omitEmpty({ username, uid, groups, tokenID, certificateFingerprint, address, userAgent, attested });
}

function describeApproval(
  csr: CertificateSigningRequest,
  record: RequestRecord | undefined,
): { readonly approval?: IssuedCertificateApproval } {
  const condition = findCondition(csr, "Approved");
  if (condition === undefined) return {};
  const decision = record?.status.decision?.type === "Approved" ? record.status.decision : undefined;
  const { reason, message, lastUpdateTime } = condition;
  return {
    approval: {
      ...omitUndefined({ username: decision?.username, groups: decision?.groups, address: decision?.address }),
      ...omitEmpty({ reason, message }),
      time: lastUpdateTime ?? decision?.time ?? null,
    },
  };
}
