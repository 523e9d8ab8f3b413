/**
 * The approving controller. The rules of policies that deny are asked first, then the two kubelet client rules, each behind
 * a permission, then the other rules of policies (`core/approval/decide_request.ts`).
 */
import { withApproval } from "../../core/approval/conditions.ts";
import { AUTO_APPROVED, isSettled, planApproval } from "../../core/approval/plan_approval.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { AccessReviewer, CsrStore, Logger } from "../../core/ports.ts";
import { DONE, type Outcome, type Reconciler } from "./loop.ts";
import type { PolicyApprover } from "./policy_approver.ts";
import { backoffMs } from "./rate_limit.ts";
import type { VerdictEvents } from "./verdict_events.ts";

/** What the approver needs. */
export interface ApproverDeps {
  readonly store: CsrStore;
  readonly reviewer: AccessReviewer;
  readonly logger: Logger;
  /** Denies before the two rules, and decides what they do not approve; without it everything else is left to people. */
  readonly policy?: PolicyApprover;
  /** Says what would be done, and writes nothing into requests. */
  readonly dryRun?: { readonly events: VerdictEvents };
}

/** Makes the approver, for `runController`. Without a policy it never denies. */
export function createApprover(deps: ApproverDeps): Reconciler<CertificateSigningRequest> {
  /** How often each CSR has been refused in a row. */
  const refused = new Map<string, number>();
  /** Which CSRs would have been approved. */
  const reportedInDryRun = new Set<string>();

  async function reconcile(
    name: string,
    csr: CertificateSigningRequest | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (csr === undefined || isSettled(csr)) {
      refused.delete(name);
      reportedInDryRun.delete(name);
      deps.policy?.forget(name, csr);
      return DONE;
    }
    const plan = planApproval(csr);
    if (plan.kind === "unreadable") return { kind: "retry", error: new Error(plan.message) };
    const denied = await deps.policy?.deny(name, csr, signal);
    if (denied !== undefined) return denied;
    if (plan.kind === "review") {
      for (const { permission, review, message } of plan.attempts) {
        if (await deps.reviewer.isAllowed(review, signal)) {
          return await approve(name, csr, { permission, message }, signal);
        }
      }
    }
    const judged = await deps.policy?.judge(name, csr, signal);
    if (judged !== undefined && judged.kind !== "left") return judged.outcome;
    if (plan.kind === "ignore") return judged?.outcome ?? DONE;
    // Quiet and again: a permission that is granted later takes effect without anybody touching the CSR. Each CSR waits
    // for itself, outside the queue's common rate: a thousand nodes that wait for one grant must not wait for each other.
    const refusals = refused.get(name) ?? 0;
    refused.set(name, refusals + 1);
    deps.logger.debug("CSR left alone", { csr: name, refusal: plan.refusal });
    return { kind: "requeueAfter", ms: backoffMs(refusals) };
  }

  async function approve(
    name: string,
    csr: CertificateSigningRequest,
    { permission, message }: { readonly permission: string; readonly message: string },
    signal: AbortSignal,
  ): Promise<Outcome> {
    // Once it is approved it is of no concern: nobody would come by and forget it.
    refused.delete(name);
    const { username, signerName } = csr.spec;
    const fields = { csr: name, signerName, username, permission };
    if (deps.dryRun !== undefined) {
      if (reportedInDryRun.has(name)) return DONE;
      reportedInDryRun.add(name);
      deps.logger.info("CSR would be approved", fields);
      const note = `Dry run, nothing was written. ${message}`;
      await deps.dryRun.events.record(csr, { type: "Normal", reason: "WouldApprove", note }, signal);
      return DONE;
    }
    const approved = withApproval(csr, { reason: AUTO_APPROVED, message });
    if (!approved.ok) return DONE;
    await deps.store.update(approved.value, signal, "approval");
    deps.logger.info("CSR approved", fields);
    return DONE;
  }

  // To a policy even a certificate that was just issued is news, and a dry run has to hear what became of its requests.
  const wantsSettled = deps.policy !== undefined || deps.dryRun !== undefined;
  return wantsSettled ? { reconcile } : { reconcile, concerns: (csr) => !isSettled(csr) };
}
