/**
 * Adds decisions to the conditions of a CSR, as `kubectl certificate approve` and `deny` do (staging kubectl
 * `pkg/cmd/certificates/certificates.go`), and reads them to count the past approvals of a rule. The server validates
 * the conditions and sets their times.
 */
import { omitEmpty } from "../lib/record.ts";
import { findCondition, getConditions, isApproved } from "../request/phase.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { formatTime, getName } from "../kube/meta.ts";
import { escapeControls } from "../lib/printable.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** The reason and the message of a decision. */
export interface DecisionText {
  readonly reason: string;
  readonly message: string;
}

/** The reason and the message that a user chose; either may be absent. */
export type OwnDecisionText = { readonly [Key in keyof DecisionText]?: DecisionText[Key] | undefined };

/** The CSR already has the opposite decision, which cannot be removed. */
export interface DecisionRefusal {
  readonly present: "Approved" | "Denied";
  /** kubectl's text: `certificate signing request "n1" is already Denied`. */
  readonly message: string;
}

/**
 * Appends a condition Approved to a CSR; returns the same object when it already has one. `now` becomes `lastUpdateTime`;
 * without it the server fills in both times.
 */
export function withApproval(
  csr: CertificateSigningRequest,
  text: DecisionText,
  now?: Date,
): Result<CertificateSigningRequest, DecisionRefusal> {
  return withDecision(csr, "Approved", "Denied", text, now);
}

/** Appends a condition Denied to a CSR, as `withApproval` appends Approved. */
export function withDenial(
  csr: CertificateSigningRequest,
  text: DecisionText,
  now?: Date,
): Result<CertificateSigningRequest, DecisionRefusal> {
  return withDecision(csr, "Denied", "Approved", text, now);
}

/** The user and the tool behind a decision. */
interface Decider {
  /** The command, such as `tlsboot approve`. */
  readonly tool: string;
  /** The name under which the server authenticates the user; undefined when the server does not report it. */
  readonly username: string | undefined;
}

/**
 * Creates the text that a command of tlsboot writes, which always contains the user and the tool. The server does not
 * verify it; the audit log is the server's own record.
 */
export function createDecisionText(
  verb: "approve" | "deny",
  { tool, username }: Decider,
  own: OwnDecisionText = {},
): DecisionText {
  const past = verb === "approve" ? "approved" : "denied";
  const by = `${past}${username === undefined ? "" : ` by user "${escapeControls(username)}"`} with ${tool}`;
  return {
    reason: own.reason ?? (verb === "approve" ? "TlsbootApprove" : "TlsbootDeny"),
    message: own.message === undefined ? `This CSR was ${by}.` : `${own.message} (${by})`,
  };
}

/** Appends a condition of status `True` and keeps the existing conditions. */
export function withCondition(
  csr: CertificateSigningRequest,
  type: string,
  text: DecisionText,
  now?: Date,
): CertificateSigningRequest {
  const condition = {
    type,
    status: "True",
    ...omitEmpty({ reason: text.reason, message: text.message }),
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

/** One approval by a rule of a policy. */
export interface PastApproval {
  readonly policy: string;
  readonly rule: string;
  readonly at: Date;
}

/** The reason of an approval by a policy begins with this word; the names of the policy and the rule follow. */
export const POLICY_APPROVED = "PolicyApproved";

/** Formats the reason of the Approved condition, which only an approver can write: `PolicyApproved:web/known`. */
export function formatApprovedReason({ policy, rule }: { readonly policy: string; readonly rule: string }): string {
  return `${POLICY_APPROVED}:${policy}/${rule}`;
}

const REASON = new RegExp(`^${POLICY_APPROVED}:([^/]+)/([^/]+)$`);

/**
 * Lists the approvals among the given CSRs. The API stores them, so an approver that has just started or has become the
 * leader counts the approvals of others too. Deleted CSRs are not counted; Kubernetes keeps issued ones for one hour.
 */
export function listPastApprovals(csrs: Iterable<CertificateSigningRequest>): readonly PastApproval[] {
  const approvals: PastApproval[] = [];
  for (const csr of csrs) {
    const condition = isApproved(csr) ? findCondition(csr, "Approved") : undefined;
    const [, policy, rule] = REASON.exec(condition?.reason ?? "") ?? [];
    if (policy === undefined || rule === undefined) continue;
    const at = condition?.lastTransitionTime ?? condition?.lastUpdateTime ?? csr.metadata.creationTimestamp ?? 0;
    approvals.push({ policy, rule, at: new Date(at) });
  }
  return approvals;
}
