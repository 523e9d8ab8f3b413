/** Decides which old requests are deleted (`pkg/controller/certificates/cleaner`, 1.37). */
import { findLeafCertificate } from "./issued_certificate.ts";
import { type CleaningTimes, DEFAULT_CLEANING_TIMES, findCondition, getConditions, hasCertificate } from "./phase.ts";
import type { CertificateSigningRequest, PodCertificateRequest } from "../kube/kinds/certificates_v1.ts";
import { formatDuration } from "../lib/duration.ts";

/** Whether a CSR is kept or deleted, with the reason for a deletion. */
export type Cleaning = { readonly kind: "keep" } | { readonly kind: "delete"; readonly why: string };

/** Decides whether one CSR is deleted. A missing time never counts as old. */
export function decideCleaning(
  csr: CertificateSigningRequest,
  now: Date,
  times: CleaningTimes = DEFAULT_CLEANING_TIMES,
): Cleaning {
  const why = findReason(csr, now, times);
  return why === undefined ? { kind: "keep" } : { kind: "delete", why };
}

/** The age at which a PodCertificateRequest is deleted (`cmd/kube-controller-manager/app/certificates.go`). */
const POD_REQUEST_MS = 900_000;

/** Decides whether a PodCertificateRequest is deleted: a quarter of an hour after its creation, whatever its state. */
export function decidePodRequestCleaning({ metadata }: PodCertificateRequest, now: Date): Cleaning {
  const ageMs = now.getTime() - Date.parse(metadata.creationTimestamp ?? "");
  if (!(ageMs >= POD_REQUEST_MS)) return { kind: "keep" };
  return { kind: "delete", why: `created at least ${format(POD_REQUEST_MS)} ago` };
}

function findReason(csr: CertificateSigningRequest, now: Date, times: CleaningTimes): string | undefined {
  const issued = hasCertificate(csr);
  if (issued && isSince(csr, "Approved", times.issuedMs, now)) return `issued more than ${format(times.issuedMs)} ago`;
  if (isSince(csr, "Denied", times.deniedMs, now)) return `denied more than ${format(times.deniedMs)} ago`;
  if (isSince(csr, "Failed", times.failedMs, now)) return `failed more than ${format(times.failedMs)} ago`;
  if (getConditions(csr).length === 0 && isOlder(csr.metadata.creationTimestamp, times.pendingMs, now)) {
    return `pending for more than ${format(times.pendingMs)}`;
  }
  if (issued && findCondition(csr, "Approved") !== undefined && isExpired(csr, now)) {
    return "its certificate is expired";
  }
  if (!issued && isSince(csr, "Approved", times.unissuedMs, now)) {
    return `approved but not issued for more than ${format(times.unissuedMs)}`;
  }
  return undefined;
}

/** Formats a duration without zero units at its end, such as `24h`. */
function format(ms: number): string {
  return formatDuration(ms).replace(/(?<=\D)0s$/, "").replace(/(?<=\D)0m$/, "");
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
