/** Decides which CSRs are deleted because of their age (`pkg/controller/certificates/cleaner/cleaner.go`, 1.37). */
import { findLeafCertificate } from "./certificate.ts";
import { findCondition, getConditions, hasCertificate } from "./phase.ts";
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";

const HOUR_MS = 3_600_000;
/** How long a decided CSR is kept, so that every waiting client sees the decision. */
const DECIDED_MS = HOUR_MS;
/** How long a CSR waits for an approver or a signer before it is deleted. */
const UNDECIDED_MS = 24 * HOUR_MS;

/** Whether a CSR is kept or deleted, with the reason for a deletion. */
export type Cleaning = { readonly kind: "keep" } | { readonly kind: "delete"; readonly why: string };

/** Decides whether one CSR is deleted. A missing time never counts as old. */
export function decideCleaning(csr: CertificateSigningRequest, now: Date): Cleaning {
  const why = findReason(csr, now);
  return why === undefined ? { kind: "keep" } : { kind: "delete", why };
}

function findReason(csr: CertificateSigningRequest, now: Date): string | undefined {
  const issued = hasCertificate(csr);
  if (issued && isSince(csr, "Approved", DECIDED_MS, now)) return "issued more than 1h ago";
  if (isSince(csr, "Denied", DECIDED_MS, now)) return "denied more than 1h ago";
  if (isSince(csr, "Failed", DECIDED_MS, now)) return "failed more than 1h ago";
  if (getConditions(csr).length === 0 && isOlder(csr.metadata.creationTimestamp, UNDECIDED_MS, now)) {
    return "pending for more than 24h";
  }
  if (issued && findCondition(csr, "Approved") !== undefined && isExpired(csr, now)) {
    return "its certificate is expired";
  }
  if (!issued && isSince(csr, "Approved", UNDECIDED_MS, now)) return "approved but not issued for more than 24h";
  return undefined;
}

function isSince(csr: CertificateSigningRequest, type: string, ageMs: number, now: Date): boolean {
  return getConditions(csr).some((item) => item.type === type && isOlder(item.lastUpdateTime, ageMs, now));
}

function isOlder(time: string | null | undefined, ageMs: number, now: Date): boolean {
  // A missing or malformed time is NaN, and every comparison with NaN is false.
  return now.getTime() - Date.parse(time ?? "") > ageMs;
}

function isExpired(csr: CertificateSigningRequest, now: Date): boolean {
  const leaf = findLeafCertificate(csr.status.certificate ?? "");
  return leaf !== undefined && now.getTime() > leaf.notAfter.getTime();
}
