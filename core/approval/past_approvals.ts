/** What was approved before by a rule of a policy: written into the condition, and read from there again. */
import { findCondition, isApproved } from "../csr/phase.ts";
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";

/** One approval. */
export interface PastApproval {
  readonly policy: string;
  readonly rule: string;
  readonly at: Date;
}

/** Reason of the Approved condition of a policy. */
export const POLICY_APPROVED = "PolicyApproved";

const APPROVED_BY = /^Approved by rule "([^"]+)" of policy "([^"]+)"/;

/** How the message of the Approved condition begins. */
export function formatApprovedBy({ policy, rule }: { readonly policy: string; readonly rule: string }): string {
  return `Approved by rule "${rule}" of policy "${policy}"`;
}

/**
 * The approvals among some requests. The API is the memory: an approver that has just started, or has taken over, counts
 * what others have approved. Requests that were cleaned away are forgotten; Kubernetes keeps issued ones for an hour.
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
