/**
 * Interprets the conditions of a CSR (`pkg/controller/certificates/certificate_controller_utils.go`,
 * `pkg/printers/internalversion/printers.go` extractCSRStatus), and defines how long a CSR is kept in each state.
 */
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from "../kube/kinds/certificates_v1.ts";

/** The reason of the condition Failed that signers set (`pkg/controller/certificates/signer/signer.go`). */
export const VALIDATION_FAILURE = "SignerValidationFailure";

/** The phase of a CSR. */
export type CsrPhase =
  | { readonly kind: "pending" }
  | { readonly kind: "approved"; readonly reason: string }
  | { readonly kind: "denied" | "failed"; readonly reason: string; readonly message: string }
  /** The `certificate` is base64 of PEM, as in `status.certificate`. */
  | { readonly kind: "issued"; readonly certificate: string };

/**
 * Determines the phase as a waiting client sees it (client-go `WaitForCertificate`). A denial or a failure always ends the
 * wait, and a certificate counts only on an approved CSR.
 */
export function getCsrPhase(csr: CertificateSigningRequest): CsrPhase {
  const refusal = findCondition(csr, "Denied") ?? findCondition(csr, "Failed");
  if (refusal !== undefined) {
    const kind = refusal.type === "Denied" ? "denied" : "failed";
    return { kind, reason: refusal.reason ?? "", message: refusal.message ?? "" };
  }
  const approval = findCondition(csr, "Approved");
  if (approval === undefined) return { kind: "pending" };
  if (hasCertificate(csr)) return { kind: "issued", certificate: csr.status.certificate ?? "" };
  return { kind: "approved", reason: approval.reason ?? "" };
}

/** Formats the cell `Condition` of a Table, such as `Approved,Issued`. Only the types of conditions count. */
export function formatConditionCell(csr: CertificateSigningRequest): string {
  const base = isDenied(csr) ? "Denied" : findCondition(csr, "Approved") === undefined ? "Pending" : "Approved";
  const failed = findCondition(csr, "Failed") === undefined ? "" : ",Failed";
  return `${base}${failed}${hasCertificate(csr) ? ",Issued" : ""}`;
}

/**
 * Reports whether there is a condition Approved and none Denied, whatever their status
 * (`IsCertificateRequestApproved`).
 */
export function isApproved(csr: CertificateSigningRequest): boolean {
  return findCondition(csr, "Approved") !== undefined && !isDenied(csr);
}

/** Reports whether there is a condition Denied, whatever its status. */
export function isDenied(csr: CertificateSigningRequest): boolean {
  return findCondition(csr, "Denied") !== undefined;
}

/**
 * Reports whether there is a condition Failed with the status `True` or no status, as for signers (`HasTrueCondition`).
 */
export function isFailed(csr: CertificateSigningRequest): boolean {
  return getConditions(csr).some((item) => item.type === "Failed" && (item.status === "" || item.status === "True"));
}

/** Reports whether `status.certificate` is not empty. */
export function hasCertificate(csr: CertificateSigningRequest): boolean {
  return (csr.status.certificate ?? "") !== "";
}

/** Returns the conditions, an empty list when there are none. */
export function getConditions(csr: CertificateSigningRequest): readonly CertificateSigningRequestCondition[] {
  return csr.status.conditions ?? [];
}

/** Finds the first condition of a type. */
export function findCondition(
  csr: CertificateSigningRequest,
  type: string,
): CertificateSigningRequestCondition | undefined {
  return getConditions(csr).find((item) => item.type === type);
}

/** How long CSRs are kept in each state, in milliseconds. */
export interface CleaningTimes {
  /** The age of an undecided request. */
  readonly pendingMs: number;
  /** The time since the approval, for a request without a certificate. */
  readonly unissuedMs: number;
  /** The time since the approval, for a request with its certificate. */
  readonly issuedMs: number;
  /** The time since the denial of a request. */
  readonly deniedMs: number;
  /** The time since a signer refused the request. */
  readonly failedMs: number;
}

const HOUR_MS = 3_600_000;

/** Upstream's times. A decided CSR is kept so that every waiting client sees the decision. */
export const DEFAULT_CLEANING_TIMES: CleaningTimes = {
  pendingMs: 24 * HOUR_MS,
  unissuedMs: 24 * HOUR_MS,
  issuedMs: HOUR_MS,
  deniedMs: HOUR_MS,
  failedMs: HOUR_MS,
};
