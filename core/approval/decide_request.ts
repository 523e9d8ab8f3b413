/**
 * What an approver does with a request: the one order in which rules are asked. `approver explain`, `approver test` and
 * `describe csr` take their verdict from here; the running approver asks in the same order, one question at a time.
 */
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
import type { RequestFacts } from "../pki/pkcs10.ts";
import {
  evaluateDenials,
  evaluatePolicies,
  findPolicyPermissions,
  type PolicyInput,
  type PolicyVerdict,
} from "./evaluate_policies.ts";
import { evaluateKubeletClient, findKubeletClientPermissions } from "./kubelet_client.ts";
import type { Policy } from "./policy.ts";

/** Asks the rules that deny, then the two kubelet client rules, then the policies in order. */
export function decideRequest(policies: readonly Policy[], input: PolicyInput): PolicyVerdict {
  const denial = evaluateDenials(policies, input);
  if (denial.kind !== "leave") return denial;
  const client = evaluateKubeletClient(input);
  if (client.kind !== "leave") return { ...client, trace: [...denial.trace, ...client.trace] };
  const verdict = evaluatePolicies(policies, input);
  const trace = [...client.trace, ...verdict.trace];
  // With no policy about it, the reason why the kubelet client rules left it says more.
  const isAbout = verdict.rule !== undefined || client.trace.every(({ notAbout }) => notAbout !== undefined);
  return isAbout ? { ...verdict, trace } : { ...verdict, message: client.message, trace };
}

/** Every permission of the requester that bears on the verdict. */
export function findRequestPermissions(
  policies: readonly Policy[],
  csr: CertificateSigningRequest,
  facts: RequestFacts,
): readonly string[] {
  return [...new Set([...findKubeletClientPermissions(csr, facts), ...findPolicyPermissions(policies, csr)])];
}
