/** Classifies whether a signer honored the requested lifetime (`pkg/registry/certificates/certificates/storage/metrics.go`). */
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
import { findLeafCertificate } from "./certificate.ts";

const TOLERANCE_SECONDS = 300;
/** The divisor that gives a tolerance of five percent in addition to the absolute one. */
const TOLERATED_PART = 20;

/**
 * Classifies a CSR whose certificate has just been set. It is `unasked` without `expirationSeconds` or with a malformed
 * certificate.
 */
export function classifyDuration(csr: CertificateSigningRequest): "unasked" | "honored" | "ignored" {
  const requested = csr.spec.expirationSeconds;
  const leaf = csr.status.certificate === undefined ? undefined : findLeafCertificate(csr.status.certificate);
  if (requested === undefined || leaf === undefined) return "unasked";
  const given = (leaf.notAfter.getTime() - leaf.notBefore.getTime()) / 1000;
  return Math.abs(given - requested) < TOLERANCE_SECONDS + requested / TOLERATED_PART ? "honored" : "ignored";
}
