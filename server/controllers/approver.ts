/** The approving controller: two kubelet client rules, each behind a permission (`spec/approver.md` §1). */
import { withApproval } from "../../core/approval/conditions.ts";
import { AUTO_APPROVED, planApproval } from "../../core/approval/decide.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { AccessReviewer, CsrStore, Logger } from "../../core/ports.ts";
import { DONE, type Outcome, type Reconcile } from "./loop.ts";
import { backoffMs } from "./rate_limit.ts";

/** What the approver needs. */
export interface ApproverDeps {
  readonly store: CsrStore;
  readonly reviewer: AccessReviewer;
  readonly logger: Logger;
}

/** Makes the approver; run its `reconcile` with `runController`. It approves or leaves alone, it never denies. */
export function createApprover(deps: ApproverDeps): { readonly reconcile: Reconcile<CertificateSigningRequest> } {
  /** How often each CSR has been refused in a row. */
  const refused = new Map<string, number>();

  async function reconcile(
    name: string,
    csr: CertificateSigningRequest | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const plan = csr === undefined ? undefined : planApproval(csr);
    if (csr === undefined || plan === undefined || plan.kind === "ignore") {
      refused.delete(name);
      return DONE;
    }
    if (plan.kind === "unreadable") return { kind: "retry", error: new Error(plan.message) };
    for (const attempt of plan.attempts) {
      if (!(await deps.reviewer.isAllowed(attempt.review, signal))) continue;
      const approved = withApproval(csr, { reason: AUTO_APPROVED, message: attempt.message });
      if (!approved.ok) return DONE;
      await deps.store.update(approved.value, signal, "approval");
      const { username, signerName } = csr.spec;
      deps.logger.info("CSR approved", { csr: name, signerName, username, permission: attempt.permission });
      return DONE;
    }
    // Quiet and again: a permission that is granted later takes effect without anybody touching the CSR. Each CSR waits
    // for itself, outside the queue's common rate: a thousand nodes that wait for one grant must not wait for each other.
    const refusals = refused.get(name) ?? 0;
    refused.set(name, refusals + 1);
    deps.logger.debug("CSR left alone", { csr: name, refusal: plan.refusal });
    return { kind: "requeueAfter", ms: backoffMs(refusals) };
  }

  return { reconcile };
}
