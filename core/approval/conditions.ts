/**
 * Writing a decision into a CSR, as `kubectl certificate approve` and `deny` do (staging kubectl
 * `pkg/cmd/certificates/certificates.go`). The server checks and stamps the rest.
 */
import { conditionsOf, findCondition } from "../csr/phase.ts";
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
import { formatTime, nameOf } from "../kube/meta.ts";
import { err, ok, type Result } from "../result.ts";

/** Reason and message of a decision. */
export interface DecisionText {
  readonly reason: string;
  readonly message: string;
}

/** The opposite decision stands already; it cannot be taken back, not even by force. */
export interface DecisionRefusal {
  readonly present: "Approved" | "Denied";
  /** As kubectl says it: `certificate signing request "n1" is already Denied`. */
  readonly message: string;
}

/** What `kubectl certificate approve` writes. */
export const KUBECTL_APPROVE: DecisionText = {
  reason: "KubectlApprove",
  message: "This CSR was approved by kubectl certificate approve.",
};

/** What `kubectl certificate deny` writes. */
export const KUBECTL_DENY: DecisionText = {
  reason: "KubectlDeny",
  message: "This CSR was denied by kubectl certificate deny.",
};

/**
 * The CSR with a condition Approved appended; the very same object when it has one already. `now` becomes
 * `lastUpdateTime`; without it the server fills both times.
 */
export function withApproval(
  csr: CertificateSigningRequest,
  text: DecisionText,
  now?: Date,
): Result<CertificateSigningRequest, DecisionRefusal> {
  return withDecision(csr, "Approved", "Denied", text, now);
}

/** The CSR with a condition Denied appended; the mirror image of `withApproval`. */
export function withDenial(
  csr: CertificateSigningRequest,
  text: DecisionText,
  now?: Date,
): Result<CertificateSigningRequest, DecisionRefusal> {
  return withDecision(csr, "Denied", "Approved", text, now);
}

/** The CSR with one more condition of status `True`; conditions that exist are kept. */
export function withCondition(
  csr: CertificateSigningRequest,
  type: string,
  text: DecisionText,
  now?: Date,
): CertificateSigningRequest {
  const condition = {
    type,
    status: "True",
    ...(text.reason === "" ? {} : { reason: text.reason }),
    ...(text.message === "" ? {} : { message: text.message }),
    lastUpdateTime: now === undefined ? null : formatTime(now),
    lastTransitionTime: null,
  };
  const { certificate } = csr.status;
  return {
    ...csr,
    status: { conditions: [...conditionsOf(csr), condition], ...(certificate === undefined ? {} : { certificate }) },
  };
}

function withDecision(
  csr: CertificateSigningRequest,
  wanted: "Approved" | "Denied",
  opposite: "Approved" | "Denied",
  text: DecisionText,
  now: Date | undefined,
): Result<CertificateSigningRequest, DecisionRefusal> {
  if (findCondition(csr, opposite) !== undefined) {
    const message = `certificate signing request "${nameOf(csr)}" is already ${opposite}`;
    return err({ present: opposite, message });
  }
  return ok(findCondition(csr, wanted) === undefined ? withCondition(csr, wanted, text, now) : csr);
}
