/**
 * The approving controller. Requests of what is revoked are denied first, and then come the rules of policies that deny,
 * and the limits of the bootstrap token with which a request was made. Then a request may be held for a person
 * (`node_guard.ts`); otherwise the two kubelet client rules follow, each behind a permission, and then the other rules of
 * policies
 * (`core/approval/decide_request.ts`).
 */
import { type DecisionText, withApproval, withDenial } from "../core/approval/conditions.ts";
import { type ApprovalPlan, AUTO_APPROVED, isSettled, planApproval } from "../core/approval/plan_approval.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import type { AccessReviewer, CsrStore, LogFields, Logger } from "../core/ports.ts";
import { DONE, type Outcome, type Reconciler } from "./loop.ts";
import type { NodeGuard } from "./node_guard.ts";
import type { PolicyApprover } from "./policy_approver.ts";
import { type FindRevokedRequest, REVOKED } from "./revoked_requests.ts";
import { backoffMs } from "./queue.ts";
import type { TokenApproval } from "./token_approval.ts";
import type { VerdictEvents } from "./verdict_events.ts";

/** The dependencies of the approving controller. */
export interface ApproverDeps {
  readonly store: CsrStore;
  readonly reviewer: AccessReviewer;
  readonly logger: Logger;
  /** Finds what is revoked, which is denied before any rule applies. */
  readonly findRevoked?: FindRevokedRequest;
  /**
   * Denies requests before the two kubelet client rules apply, and decides requests that those rules do not approve.
   * Without a policy approver such requests stay pending.
   */
  readonly policy?: PolicyApprover;
  /** Decides by the limits of bootstrap tokens, after the rules that deny and before all others. */
  readonly tokens?: TokenApproval;
  /** Holds requests for client certificates of nodes for a person, before any rule may approve them. */
  readonly guard?: NodeGuard;
  /** Reports what would be done, and writes nothing into requests. */
  readonly dryRun?: { readonly events: VerdictEvents };
}

/** Creates the approver, to be run with `runController`. Without a policy it never denies. */
export function createApprover(deps: ApproverDeps): Reconciler<CertificateSigningRequest> {
  /** How often each CSR has been refused in a row. */
  const refused = new Map<string, number>();
  /** The CSRs that were reported as approved in a dry run. */
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
      deps.guard?.forget(name);
      return DONE;
    }
    const plan = planApproval(csr);
    if (plan.kind === "unreadable") return { kind: "retry", error: new Error(plan.message) };
    const revoked = await deps.findRevoked?.(csr, signal);
    if (revoked !== undefined) {
      const text = { reason: REVOKED, message: revoked.message };
      return await settle(name, csr, { kind: "deny", text }, { rule: "revocation" }, signal);
    }
    const denied = await deps.policy?.deny(name, csr, signal);
    if (denied !== undefined) return denied;
    const byToken = await deps.tokens?.decide(csr, signal);
    if (byToken !== undefined) {
      if (byToken.kind !== "pending") return await settle(name, csr, byToken, { rule: "token" }, signal);
      deps.logger.info("CSR stays pending", { csr: name, reason: byToken.message });
      return DONE;
    }
    const decide = (): Promise<Outcome> => decideUnheld(name, csr, plan, signal);
    const deny = (text: DecisionText): Promise<Outcome> =>
      settle(name, csr, { kind: "deny", text }, { rule: "held requests" }, signal);
    return deps.guard === undefined ? await decide() : await deps.guard.guard(name, csr, decide, deny, signal);
  }

  async function decideUnheld(
    name: string,
    csr: CertificateSigningRequest,
    plan: Exclude<ApprovalPlan, { readonly kind: "unreadable" }>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (plan.kind === "review") {
      for (const { permission, review, message } of plan.attempts) {
        if (await deps.reviewer.isAllowed(review, signal)) {
          const text = { reason: AUTO_APPROVED, message };
          return await settle(name, csr, { kind: "approve", text }, { permission }, signal);
        }
      }
    }
    const decided = await deps.policy?.decide(name, csr, signal);
    if (decided !== undefined && decided.kind !== "pending") return decided.outcome;
    if (plan.kind === "ignore") return decided?.outcome ?? DONE;
    // A permission that is granted later takes effect without a change to the CSR, so it is checked again, quietly. Each
    // CSR has its own back-off outside the queue's common rate: a thousand nodes that wait for one permission must not
    // wait for each other.
    const refusals = refused.get(name) ?? 0;
    refused.set(name, refusals + 1);
    deps.logger.debug("CSR stays pending", { csr: name, refusal: plan.refusal });
    return { kind: "requeueAfter", ms: backoffMs(refusals) };
  }

  async function settle(
    name: string,
    csr: CertificateSigningRequest,
    { kind, text }: { readonly kind: "approve" | "deny"; readonly text: DecisionText },
    rule: LogFields,
    signal: AbortSignal,
  ): Promise<Outcome> {
    // A settled CSR is not reconciled again, so its count has to be dropped here.
    refused.delete(name);
    const { username, signerName } = csr.spec;
    const fields = { csr: name, signerName, username, ...rule };
    const isApproval = kind === "approve";
    if (deps.dryRun !== undefined) {
      if (reportedInDryRun.has(name)) return DONE;
      reportedInDryRun.add(name);
      deps.logger.info(isApproval ? "CSR would be approved" : "CSR would be denied", fields);
      const note = `Dry run, nothing was written. ${text.message}`;
      const reason = isApproval ? "WouldApprove" : "WouldDeny";
      await deps.dryRun.events.record(csr, { type: "Normal", reason, note }, signal);
      return DONE;
    }
    const decided = (isApproval ? withApproval : withDenial)(csr, text);
    if (!decided.ok) return DONE;
    await deps.store.update(decided.value, signal, "approval");
    deps.logger.info(isApproval ? "CSR approved" : "CSR denied", fields);
    return DONE;
  }

  // Policies need to see certificates that were just issued, and a dry run has to drop the state of settled requests.
  const wantsSettled = deps.policy !== undefined || deps.dryRun !== undefined;
  return wantsSettled ? { reconcile } : { reconcile, concerns: (csr) => !isSettled(csr) };
}
