/**
 * Writing a decision into a CSR, as `kubectl certificate approve` and `deny` do (staging kubectl
 * `pkg/cmd/certificates/certificates.go`). The server checks and stamps the rest.
 */
import { findCondition, getConditions } from "../csr/phase.ts";
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
import { formatTime, getName } from "../kube/meta.ts";
import { escapeControls } from "../lib/printable.ts";
import { err, ok, type Result } from "../lib/result.ts";

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

/** Who decided, and with what. */
export interface Decider {
  /** Such as `tlsboot approve`. */
  readonly tool: string;
  /** As the server authenticates the user; undefined where it does not say. */
  readonly username: string | undefined;
}

/**
 * The text that a command of tlsboot writes: it always names the user and the tool. It is the client's word; the server's
 * own record is the audit log.
 */
export function createDecisionText(
  verb: "approve" | "deny",
  { tool, username }: Decider,
  own: Partial<DecisionText> = {},
): DecisionText {
  const past = verb === "approve" ? "approved" : "denied";
  const by = `${past}${username === undefined ? "" : ` by user "${escapeControls(username)}"`} with ${tool}`;
  return {
    reason: own.reason ?? (verb === "approve" ? "TlsbootApprove" : "TlsbootDeny"),
    message: own.message === undefined ? `This CSR was ${by}.` : `${own.message} (${by})`,
  };
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
    status: { conditions: [...getConditions(csr), condition], ...(certificate === undefined ? {} : { certificate }) },
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
    const message = `certificate signing request "${getName(csr)}" is already ${opposite}`;
    return err({ present: opposite, message });
  }
  return ok(findCondition(csr, wanted) === undefined ? withCondition(csr, wanted, text, now) : csr);
}
