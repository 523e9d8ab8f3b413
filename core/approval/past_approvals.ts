/** Past approvals of a rule, which the approver writes into the Approved condition and reads from there again. */
import { findCondition, isApproved } from "../csr/phase.ts";
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";

/** One approval by a rule of a policy. */
export interface PastApproval {
  readonly policy: string;
  readonly rule: string;
  readonly at: Date;
}

/** The reason of the Approved condition of a policy. */
export const POLICY_APPROVED = "PolicyApproved";

const APPROVED_BY = /^Approved by rule "([^"]+)" of policy "([^"]+)"/;

/** Formats the beginning of the message of the Approved condition. */
export function formatApprovedBy({ policy, rule }: { readonly policy: string; readonly rule: string }): string {
  return `Approved by rule "${rule}" of policy "${policy}"`;
}

/**
 * Lists the approvals among the given CSRs. The API stores them, so an approver that has just started or has become the
 * leader counts the approvals of others too. Deleted CSRs do not count; Kubernetes keeps issued ones for one hour.
 */
export function listPastApprovals(csrs: Iterable<CertificateSigningRequest>): readonly PastApproval[] {
  const approvals: PastApproval[] = [];
  for (const csr of csrs) {
    const condition = isApproved(csr) ? findCondition(csr, "Approved") : undefined;
    if (condition?.reason !== POLICY_APPROVED) continue;
    const [, rule, policy] = APPROVED_BY.exec(condition.message ?? "") ?? [];
    const at = new Date(
      condition.lastTransitionTime ?? condition.lastUpdateTime ?? csr.metadata.creationTimestamp ?? 0,
    );
    if (rule !== undefined && policy !== undefined) approvals.push({ policy, rule, at });
  }
  return approvals;
}
