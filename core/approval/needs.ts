/** The permissions that policies need at the API; an approver is granted no others. */
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/kinds/certificates_v1.ts";
import { usesNodeReports } from "./evidence/ownership.ts";
import type { Policy } from "./policy.ts";

/** The signers that the policies of an approver decide about, and whether they read nodes. */
export interface PolicyNeeds {
  /** Signers whose requests are approved or denied; `domain/*` among them. */
  readonly signerNames: readonly string[];
  /** Whether Nodes must be watched for the evidence. */
  readonly nodes: boolean;
}

/** Collects the needs of the two kubelet client rules and of the given policies. */
export function collectPolicyNeeds(policies: readonly Policy[]): PolicyNeeds {
  const deciding = policies.flatMap(({ rules }) => rules).filter(({ then, otherwise }) =>
    then === "approve" || then === "deny" || otherwise === "deny"
  );
  const signerNames = deciding.flatMap(({ match }) => match.signerNames);
  return {
    signerNames: [...new Set([KUBE_APISERVER_CLIENT_KUBELET_SIGNER, ...signerNames])],
    nodes: policies.some((policy) => asksForOwnership(policy) && usesNodeReports(policy.evidence)),
  };
}

/** Reports whether a policy can approve nothing, or only renewals, when there is no inventory. */
export function needsInventory(policy: Policy): boolean {
  return policy.machines === "inventory" ||
    asksForOwnership(policy) && policy.evidence.inventory && !policy.evidence.trustNodeStatus;
}

function asksForOwnership({ rules }: Policy): boolean {
  return rules.some(({ require: wanted }) => wanted.names?.owned === true);
}
