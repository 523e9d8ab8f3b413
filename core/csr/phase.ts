/**
 * What the conditions of a CSR say, in one place (`pkg/controller/certificates/certificate_controller_utils.go`,
 * `pkg/printers/internalversion/printers.go` extractCSRStatus).
 */
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from "../kube/certificates_v1.ts";

/** Where a CSR stands. */
export type CsrPhase =
  | { readonly kind: "pending" }
  | { readonly kind: "approved"; readonly reason: string }
  | { readonly kind: "denied" | "failed"; readonly reason: string; readonly message: string }
  /** `certificate` is base64 of PEM, as it stands in `status.certificate`. */
  | { readonly kind: "issued"; readonly certificate: string };

/**
 * The phase as a waiting client sees it (client-go `WaitForCertificate`): a denial or a failure ends the wait whatever
 * else is there, a certificate counts only on an approved CSR.
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

/** The cell `Condition` of a Table: `Pending`, `Approved,Issued`, … Only condition types are looked at. */
export function formatConditionCell(csr: CertificateSigningRequest): string {
  const base = isDenied(csr) ? "Denied" : findCondition(csr, "Approved") === undefined ? "Pending" : "Approved";
  const failed = findCondition(csr, "Failed") === undefined ? "" : ",Failed";
  return `${base}${failed}${hasCertificate(csr) ? ",Issued" : ""}`;
}

/** True with a condition Approved and none Denied, whatever their status (`IsCertificateRequestApproved`). */
export function isApproved(csr: CertificateSigningRequest): boolean {
  return findCondition(csr, "Approved") !== undefined && !isDenied(csr);
}

/** True with a condition Denied, whatever its status. */
export function isDenied(csr: CertificateSigningRequest): boolean {
  return findCondition(csr, "Denied") !== undefined;
}

/** True with a condition Failed whose status is `True` or empty, as a signer sees it (`HasTrueCondition`). */
export function isFailed(csr: CertificateSigningRequest): boolean {
  return getConditions(csr).some((item) => item.type === "Failed" && (item.status === "" || item.status === "True"));
}

/** True when `status.certificate` is not empty. */
export function hasCertificate(csr: CertificateSigningRequest): boolean {
  return (csr.status.certificate ?? "") !== "";
}

/** The conditions, an empty list when there are none. */
export function getConditions(csr: CertificateSigningRequest): readonly CertificateSigningRequestCondition[] {
  return csr.status.conditions ?? [];
}

/** The first condition of a type. */
export function findCondition(
  csr: CertificateSigningRequest,
  type: string,
): CertificateSigningRequestCondition | undefined {
  return getConditions(csr).find((item) => item.type === type);
}
