/**
 * Decides what an approver does with a request, and in which order the rules apply. `approver explain`, `approver test` and
 * `describe csr` use it; the running approver follows the same order, but asks the API only what it needs.
 */
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
import type { RequestFacts } from "../pki/pkcs10.ts";
import { evaluateDenials, evaluatePolicies, findPolicyPermissions, type PolicyVerdict } from "./evaluate_policies.ts";
import { evaluateKubeletClient, findKubeletClientPermissions } from "./kubelet_client.ts";
import type { Policy } from "./policy.ts";
import type { PolicyInput } from "./checks.ts";

/** Applies the rules that deny, then the two kubelet client rules, then the policies in order. */
export function decideRequest(policies: readonly Policy[], input: PolicyInput): PolicyVerdict {
  const denial = evaluateDenials(policies, input);
  if (denial.kind !== "pending") return denial;
  const client = evaluateKubeletClient(policies, input);
  if (client.kind !== "pending" || client.rule !== undefined) {
    return { ...client, trace: [...denial.trace, ...client.trace] };
  }
  const verdict = evaluatePolicies(policies, input);
  const trace = [...client.trace, ...verdict.trace];
  // When no policy applies, the reason of the kubelet client rules is more useful.
  const isAbout = verdict.rule !== undefined || client.trace.every(({ notAbout }) => notAbout !== undefined);
  return isAbout ? { ...verdict, trace } : { ...verdict, message: client.message, trace };
}

/** Finds every permission of the requester that the verdict may depend on. */
export function findRequestPermissions(
  policies: readonly Policy[],
  csr: CertificateSigningRequest,
  facts: RequestFacts,
): readonly string[] {
  return [...new Set([...findKubeletClientPermissions(csr, facts), ...findPolicyPermissions(policies, csr)])];
}
