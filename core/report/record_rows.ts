/** Records of issued certificates as rows: their status, the flags that select them, and their order. */
import { findTokenId } from "../token/token_secret.ts";
import { findLeafCertificate } from "../request/issued_certificate.ts";
import { findCondition, hasCertificate } from "../request/phase.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { formatHumanDuration } from "../lib/duration.ts";
import { getName } from "../kube/meta.ts";
import type { IssuedCertificate, IssuedCertificateSource } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { NODES_GROUP, parseNodeUser } from "../kube/user.ts";
import { compareBytes } from "../lib/go_text.ts";
import { matchesPattern } from "../lib/linear_text.ts";
import { parseFormattedName } from "../pki/x509/names.ts";
import { readIdentity, toHolderLabel } from "../register/certificate_user.ts";
import { createRecord, createRecordStatus, describeIssued, describeRequestOrigin } from "../register/record.ts";
import { omitUndefined } from "../lib/record.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";

export type RecordOrder =
  | "issued"
  | "expires"
  | "subject"
  | "signer"
  | "serial"
  | "status"
  | "requester"
  | "approved-by";

/** The earliest time of issuance that a list shows: a date, or a time before now. */
export type IssuedSince =
  | { readonly kind: "at"; readonly date: Date }
  | { readonly kind: "ago"; readonly ms: number };

/**
 * The status of a certificate, the first one that applies: `revoked`; `unknown`, for a record without dates; `expired`;
 * `untrusted`, when a rotation has replaced its CA; `replaced`; `valid`.
 */
export type RecordStatus = "valid" | "replaced" | "untrusted" | "expired" | "revoked" | "unknown";

export interface RecordRow {
  readonly record: IssuedCertificate;
  readonly status: RecordStatus;
  /** The name of the record of the certificate that replaced this one. */
  readonly replacedBy: string | undefined;
}

/** The replaced certificates: the name of each record, with the name of the record that replaced it. */
export type Replacements = Map<string, string>;

export function addReplacement(replacements: Replacements, record: IssuedCertificate): void {
  if (record.spec.replaces !== undefined) replacements.set(record.spec.replaces, getName(record));
}

/**
 * Finds replacements where records do not state them. As in the register, the newest certificate of the same signer and
 * user, or of the same names without a user, replaces the others. Records are added in the order of issuance.
 */
export class ReplacementFinder {
  readonly found: Replacements = new Map();
  readonly #newest = new Map<string, string>();

  add(record: IssuedCertificate): void {
    if (!isCertificateRecord(record)) return;
    const holder = toHolderLabel(record.spec, readIdentity(record));
    if (holder === "") return;
    const key = JSON.stringify([getSigner(record), holder]);
    const earlier = this.#newest.get(key);
    if (earlier !== undefined) this.found.set(earlier, getName(record));
    this.#newest.set(key, getName(record));
  }
}

/** Reports whether a record is that of a certificate, not a stub for removed records. */
export function isCertificateRecord({ spec }: IssuedCertificate): boolean {
  return spec.removed === undefined;
}

/**
 * Creates the row of a record. The status `replaced` needs the replacements of the whole register, and `untrusted` the
 * SHA-256 (hex) of the CAs that are no longer trusted after a rotation.
 */
export function toRow(
  record: IssuedCertificate,
  replacements: Replacements,
  now: Date,
  retiredCas: ReadonlySet<string> = NO_CAS,
): RecordRow {
  const replacedBy = replacements.get(getName(record));
  return { record, status: getStatus(record, replacedBy !== undefined, now, retiredCas), replacedBy };
}

const NO_CAS: ReadonlySet<string> = new Set();

function getStatus(
  { spec, status }: IssuedCertificate,
  isReplaced: boolean,
  now: Date,
  retiredCas: ReadonlySet<string>,
): RecordStatus {
  const { notAfter, issuerFingerprint = "", fingerprint = "" } = spec;
  if (status?.revocation !== undefined) return "revoked";
  if (notAfter === null) return "unknown";
  if (hasExpired({ spec }, now)) return "expired";
  // The record of a CA itself has its own fingerprint; a self-signed CA is also its issuer.
  if (retiredCas.has(issuerFingerprint) || retiredCas.has(fingerprint)) return "untrusted";
  return isReplaced ? "replaced" : "valid";
}

/** Describes the status of a certificate in words. */
export function describeRecordStatus({ record, status, replacedBy }: RecordRow, now: Date): string {
  switch (status) {
    case "valid":
      return "valid; no newer certificate of this signer and subject";
    case "replaced":
      return `valid, but replaced by record ${replacedBy ?? ""}`;
    case "untrusted":
      return "untrusted: a rotation has replaced its CA, and nothing trusts the old one";
    case "expired":
      return replacedBy === undefined ? "expired, and not replaced" : `expired; replaced by record ${replacedBy}`;
    case "revoked": {
      const { revocation } = record.status ?? {};
      const since = Date.parse(revocation?.time ?? "");
      const ago = Number.isNaN(since) ? "" : `, ${formatHumanDuration(now.getTime() - since)} ago`;
      return `revoked (${revocation?.reason ?? ""})${ago}`;
    }
    case "unknown":
      return "unknown: an earlier version recorded it without its dates";
  }
}

/** The origin of a certificate in words: how it was issued. */
export const RECORD_SOURCE_TEXT: Readonly<Record<IssuedCertificateSource, string>> = {
  CertificateSigningRequest: "by a CertificateSigningRequest",
  PodCertificateRequest: "by a PodCertificateRequest",
  sign: "by tlsboot sign",
  kubeconfig: "by tlsboot kubeconfig",
  serving: "by the server, for itself",
  ca: "as a CA of the server",
  migration: "known from the file of an earlier version",
};

/** The flags of `get certificates` that select certificates, all of which must match. */
export interface RecordSelection {
  readonly expiresWithin: number | undefined;
  readonly expired: boolean;
  readonly revoked: boolean;
  readonly signer: string | undefined;
  readonly subject: string | undefined;
  readonly name: string | undefined;
  readonly requester: string | undefined;
  readonly token: string | undefined;
  readonly approvedBy: string | undefined;
  readonly since: IssuedSince | undefined;
}

type Test = (row: RecordRow) => boolean;

export function createSelector(selection: RecordSelection, now: Date): Test {
  const tests: Test[] = [];
  const add = <T>(value: T | undefined, create: (value: T) => Test): void => {
    if (value !== undefined) tests.push(create(value));
  };
  const { expired, revoked } = selection;
  if (expired) tests.push(({ record }) => hasExpired(record, now));
  if (revoked) tests.push(({ status }) => status === "revoked");
  add(
    selection.expiresWithin,
    (ms) => ({ record, status }) => status === "valid" && Date.parse(record.spec.notAfter ?? "") <= now.getTime() + ms,
  );
  add(selection.signer, (pattern) => ({ record }) => matchesPattern(getSigner(record), pattern));
  add(selection.subject, (pattern) => ({ record }) => matchesSubject(record.spec.subject ?? "", pattern));
  add(
    selection.name,
    (pattern) => ({ record }) => listAlternativeNames(record.spec).some((name) => matchesPattern(name, pattern)),
  );
  add(selection.requester, (pattern) => ({ record }) => matchesPattern(record.spec.requester?.username ?? "", pattern));
  add(selection.token, (id) => ({ record }) => record.spec.requester?.tokenID === id);
  add(selection.approvedBy, (pattern) => ({ record }) => {
    const { username = "", reason = "" } = record.spec.approval ?? {};
    return matchesPattern(username, pattern) || matchesPattern(reason, pattern);
  });
  add(selection.since, (since) => {
    const from = since.kind === "at" ? since.date.getTime() : now.getTime() - since.ms;
    return ({ record }) => Date.parse(record.spec.issuedAt ?? "") >= from;
  });
  return (row) => tests.every((test) => test(row));
}

/** Reports whether a certificate has expired. If its end is not known, it has not. */
export function hasExpired({ spec: { notAfter } }: Pick<IssuedCertificate, "spec">, now: Date): boolean {
  return notAfter !== null && Date.parse(notAfter) < now.getTime();
}

/** Matches the whole subject, or one of its values, with or without the attribute: `CN=alice`, `alice`. */
function matchesSubject(subject: string, pattern: string): boolean {
  if (matchesPattern(subject, pattern)) return true;
  const attributes = parseFormattedName(subject) ?? [];
  return attributes.some(({ type, value }) =>
    ["CN", "O", "OU"].includes(type) &&
    (matchesPattern(value, pattern) || matchesPattern(`${type}=${value}`, pattern))
  );
}

/** The number of digits of a serial number in tables: 48 bits, which are unique even among a million certificates. */
const SHORT_SERIAL_DIGITS = 12;

/** Shortens a serial number to the digits that tables show. */
export function shortenSerial(serialNumber: string): string {
  return serialNumber.slice(0, SHORT_SERIAL_DIGITS);
}

/** Returns the node that a certificate identifies, or undefined for another certificate. */
export function findNodeOfRecord(record: IssuedCertificate): string | undefined {
  const { username = "", groups = [] } = readIdentity(record) ?? {};
  return groups.includes(NODES_GROUP) ? parseNodeUser(username) : undefined;
}

/** Returns the signer of a record, or the origin of a certificate that has no signer, such as `kubeconfig`. */
export function getSigner({ spec }: IssuedCertificate): string {
  return spec.signerName ?? spec.source ?? "";
}

/** Returns the approving user, or the reason for a controller or an unknown user; empty without an approval. */
export function getApprover({ spec }: IssuedCertificate): string {
  const { username = "", reason = "" } = spec.approval ?? {};
  return reason !== "" && (username === "" || username.startsWith("system:")) ? reason : username;
}

/** Compares rows by an order; equal ones are in the order of issuance. */
export function compareRows(order: RecordOrder): (a: RecordRow, b: RecordRow) => number {
  const text = SORT_TEXT[order];
  return (a, b) => compareBytes(text(a), text(b)) || a.record.spec.sequence - b.record.spec.sequence;
}

const SORT_TEXT: Readonly<Record<RecordOrder, (row: RecordRow) => string>> = {
  issued: ({ record }) => record.spec.issuedAt ?? "",
  expires: ({ record }) => record.spec.notAfter ?? "",
  subject: ({ record }) => record.spec.subject ?? "",
  signer: ({ record }) => getSigner(record),
  serial: ({ record }) => record.spec.serialNumber ?? "",
  status: ({ status }) => status,
  requester: ({ record }) => record.spec.requester?.username ?? "",
  "approved-by": ({ record }) => getApprover(record),
};

/**
 * Creates a record of the certificate of a request, for an API without a register; undefined while there is no
 * certificate. The time of issuance is that of the approval, because a request does not record when it was signed. It
 * is also used as the sequence number.
 */
export function recordRequest(csr: CertificateSigningRequest): IssuedCertificate | undefined {
  const leaf = hasCertificate(csr) ? findLeafCertificate(csr.status.certificate ?? "") : undefined;
  if (leaf === undefined) return undefined;
  const origin = describeRequestOrigin(csr, omitUndefined({ tokenID: findTokenId(csr.spec.username ?? "") }));
  const description = describeIssued(leaf, origin);
  const { lastUpdateTime } = findCondition(csr, "Approved") ?? {};
  const issuedAt = new Date(lastUpdateTime ?? csr.metadata.creationTimestamp ?? leaf.notBefore);
  const spec = createRecord(description, { sequence: Math.floor(issuedAt.getTime() / 1000), issuedAt });
  return { metadata: { name: getName(csr) }, spec, status: createRecordStatus(description) };
}
