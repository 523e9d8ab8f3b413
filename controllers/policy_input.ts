/** Gathers the facts that policies decide by from the API, the inventory and the nodes. */
import { createAccessReviewSpec } from "../core/approval/plan_approval.ts";
import { getErrorMessage } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import type { RequestFacts } from "../core/pki/pkcs10.ts";
import type { Inventory, NodeNames } from "../core/approval/inventory.ts";
import { findRequestingNode, type PolicyInput } from "../core/approval/evaluate_policies.ts";
import { findHeldNames } from "../core/approval/node_names.ts";
import type { Lookup } from "../core/approval/ownership.ts";
import { listPastApprovals } from "../core/approval/past_approvals.ts";
import type { Policy } from "../core/approval/policy.ts";
import type { AccessReviewer, Clock } from "../core/ports.ts";

/** The policies and the inventory that the operator has configured. */
export interface PolicySettings {
  readonly policies: readonly Policy[];
  readonly inventory: Inventory | undefined;
}

/** The sources of the evidence that policies use. */
export interface EvidenceSources {
  readonly reviewer: AccessReviewer;
  /** Lists the approved requests of a requester. */
  listApproved(username: string): Iterable<CertificateSigningRequest>;
  /** Returns the names and addresses that nodes report; `none` when no policy needs them. */
  reported(): Lookup<ReadonlyMap<string, NodeNames>>;
  /** Returns the names and addresses of the API server. A failure is passed on, because nothing is approved without them. */
  serverNames(signal: AbortSignal): Promise<NodeNames>;
  readonly clock: Clock;
}

/** Gathers the facts about a request. A fact that cannot be read is `failed`, and then no rule decides by it. */
export async function gatherPolicyInput(
  sources: EvidenceSources,
  settings: Pick<PolicySettings, "inventory">,
  about: { readonly csr: CertificateSigningRequest; readonly request: RequestFacts },
  asked: readonly string[],
  signal: AbortSignal,
): Promise<PolicyInput> {
  const { csr, request } = about;
  const permissions = new Map<string, Lookup<boolean>>();
  for (const permission of asked) permissions.set(permission, await review(sources, csr, permission, signal));
  const node = findRequestingNode(csr);
  const server = node === undefined ? { dns: [], ips: [] } : await sources.serverNames(signal);
  const now = sources.clock.now();
  const approved = [...sources.listApproved(csr.spec.username ?? "")];
  return {
    csr,
    request,
    now,
    permissions,
    approvedBefore: listPastApprovals(approved),
    evidence: {
      inventory: settings.inventory,
      held: node === undefined ? { kind: "none" } : findHeldNames(approved, node, now),
      reported: sources.reported(),
      server,
    },
  };
}

async function review(
  { reviewer }: EvidenceSources,
  csr: CertificateSigningRequest,
  permission: string,
  signal: AbortSignal,
): Promise<Lookup<boolean>> {
  try {
    return { kind: "found", value: await reviewer.isAllowed(createAccessReviewSpec(csr, permission), signal) };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "failed", message: `cannot ask for permission ${permission}: ${getErrorMessage(error)}` };
  }
}
