/** The verdict about one request, for `approver explain` and `describe csr`: the approver's own decision, nothing written. */
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { RequestFacts } from "../../core/pki/pkcs10.ts";
import { BUILTIN_POLICIES } from "../../core/approval/builtin_policies.ts";
import { decideRequest, permissionsToAsk } from "../../core/approval/decide_request.ts";
import { evaluatePolicies, isAbout, type PolicyVerdict } from "../../core/approval/evaluate_policies.ts";
import { type EvidenceSources, gatherPolicyInput, type PolicySettings } from "../../server/controllers/policy_input.ts";

/** What would become of a request. */
export interface Explanation {
  /** By an approver with the chosen policies. */
  readonly verdict: PolicyVerdict;
  /** Without chosen policies: what each policy that comes with tlsboot and is about the request would say of it. */
  readonly others: readonly PolicyVerdict[];
}

/** Gathers the evidence and decides. */
export async function explainRequest(
  csr: CertificateSigningRequest,
  request: RequestFacts,
  { policies, inventory }: PolicySettings,
  sources: EvidenceSources,
  signal: AbortSignal,
): Promise<Explanation> {
  const shipped = policies.length === 0 ? [...BUILTIN_POLICIES.values()].filter((policy) => isAbout(policy, csr)) : [];
  const asked = permissionsToAsk([...policies, ...shipped], csr, request);
  const input = await gatherPolicyInput(sources, { inventory }, { csr, request }, asked, signal);
  const verdict = decideRequest(policies, input);
  // What the kubelet client rules decide, no other policy decides otherwise: these do not deny.
  const others = verdict.kind === "leave" ? shipped.map((policy) => evaluatePolicies([policy], input)) : [];
  return { verdict, others };
}
