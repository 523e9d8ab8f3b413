/** Past approvals of a rule, which the approver writes into the reason of the Approved condition and reads there again. */
import { findCondition, isApproved } from "../../request/phase.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";

/** One approval by a rule of a policy. */
export interface PastApproval {
  readonly policy: string;
  readonly rule: string;
  readonly at: Date;
}

/** When a policy approves, the reason of the condition is this word and the names of the policy and the rule. */
export const POLICY_APPROVED = "PolicyApproved";

/** Formats the reason of the Approved condition, which only an approver can write: `PolicyApproved:web/known`. */
export function formatApprovedReason({ policy, rule }: { readonly policy: string; readonly rule: string }): string {
  return `${POLICY_APPROVED}:${policy}/${rule}`;
}

const REASON = new RegExp(`^${POLICY_APPROVED}:([^/]+)/([^/]+)$`);

/**
 * Lists the approvals among the given CSRs. The API stores them, so an approver that has just started or has become the
 * leader counts the approvals of others too. Deleted CSRs do not count; Kubernetes keeps issued ones for one hour.
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
