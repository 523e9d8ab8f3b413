/**
 * The permissions that an approver needs at an API server. They are the same for `--print-rbac`,
 * `docs/rbac/approver.yaml` and the approver of `tlsboot up`.
 */
import { SYSTEM_NAMESPACE } from "../kube/meta.ts";
import { usesNodeReports } from "./evidence/ownership.ts";
import type { Policy } from "./policy.ts";
import { PUBLISHED_SETTINGS } from "./published.ts";
import { CERTIFICATES_GROUP, KUBE_APISERVER_CLIENT_KUBELET_SIGNER, TLSBOOT_GROUP } from "../kube/kinds/constants.ts";
import type { ClusterRole, Role } from "../kube/kinds/rbac_v1.ts";

import { shellWord } from "../lib/printable.ts";
import { allow, createManifest, leaseRole, type ManifestPart, notifierRole } from "../rbac/manifest.ts";

/** The options of an approver that determine its permissions. */
interface ApproverRbacOptions {
  readonly needs: PolicyNeeds;
  /** Whether the approver only reports what it would do. */
  readonly dryRun: boolean;
  /** Whether the approver enforces the limits of bootstrap tokens, whose Secrets it reads and updates. */
  readonly tokens: boolean;
  /** Whether the approver sends notifications. */
  readonly notifies?: boolean;
  /** The namespace of the approver's Lease; undefined without leader election. */
  readonly leaseNamespace: string | undefined;
}

const APPROVER_ROLE = "tlsboot:approver";
export const APPROVER_LEASE = "tlsboot-approver";
export const APPROVER_ACCOUNT = "tlsboot-approver";

/** The namespace of Events about cluster-scoped objects, as in Kubernetes' own recorders (client-go `tools/record`). */
export const EVENT_NAMESPACE = "default";

/** Creates the manifest of an approver, whose roles are bound to its service account. */
export function createApproverManifest(options: ApproverRbacOptions): readonly ManifestPart[] {
  const what = "What `tlsboot approver` needs at a Kubernetes API server.";
  return createManifest(what, APPROVER_ACCOUNT, listApproverRoles(options));
}

/** Lists the roles of an approver without `apiVersion` and `kind`; the first one is a ClusterRole. */
export function listApproverRoles(
  options: ApproverRbacOptions,
): readonly [ManifestPart<ClusterRole>, ...ManifestPart<Role | ClusterRole>[]] {
  const { tokens, dryRun, notifies = false, leaseNamespace } = options;
  return [
    approverClusterRole(options),
    {
      comment: "It records its decisions as Events; those about requests are in this namespace.",
      object: {
        metadata: { name: `${APPROVER_ROLE}-events`, namespace: EVENT_NAMESPACE },
        rules: [allow("create", "events.k8s.io", "events")],
      },
    },
    ...(dryRun ? [] : [settingsRole()]),
    ...(tokens ? [approverTokenRole(dryRun)] : []),
    ...(notifies ? [notifierRole(APPROVER_ROLE)] : []),
    ...(leaseNamespace === undefined ? [] : [leaseRole(APPROVER_ROLE, leaseNamespace, APPROVER_LEASE)]),
  ];
}

function approverClusterRole({ needs, dryRun }: ApproverRbacOptions): ManifestPart<ClusterRole> {
  const others = [
    ...(dryRun ? [] : ["approves or denies those of some signers"]),
    "reads the register of certificates",
    ...(needs.nodes ? ["reads the addresses of nodes"] : []),
  ];
  return {
    comment: ["It reads requests", ...others].join(", ") + ", and checks the permissions of requesters.",
    object: {
      metadata: { name: APPROVER_ROLE },
      rules: [
        allow("get list watch", CERTIFICATES_GROUP, "certificatesigningrequests"),
        ...(dryRun ? [] : [
          allow("update", CERTIFICATES_GROUP, "certificatesigningrequests/approval"),
          { ...allow("approve", CERTIFICATES_GROUP, "signers"), resourceNames: needs.signerNames },
        ]),
        allow("create", "authorization.k8s.io", "subjectaccessreviews"),
        // kube-apiserver has no such resource: the approver then knows only the requests that it has seen.
        allow("list watch", TLSBOOT_GROUP, "issuedcertificates"),
        ...(needs.nodes ? [allow("list watch", "core", "nodes")] : []),
      ],
    },
  };
}

/** Creates the role that lets an approver read the limits of bootstrap tokens and bind tokens to keys. */
export function approverTokenRole(dryRun: boolean): ManifestPart<Role> {
  return {
    comment:
      "It reads the limits of bootstrap tokens, and binds a token to its first key. RBAC cannot restrict this to " +
      "the Secrets of tokens, so it covers every Secret of the namespace.",
    object: {
      metadata: { name: `${APPROVER_ROLE}-tokens`, namespace: SYSTEM_NAMESPACE },
      rules: [allow(dryRun ? "get" : "get update", "core", "secrets")],
    },
  };
}

function settingsRole(): ManifestPart<Role> {
  const { namespace, name } = PUBLISHED_SETTINGS;
  return {
    comment: "It publishes its policies and its inventory, for tlsboot policy explain and describe csr.",
    object: {
      metadata: { name: `${APPROVER_ROLE}-settings`, namespace },
      // RBAC cannot restrict create by name, because the name is not known at authorization.
      rules: [allow("create", "core", "configmaps"), allow("get update", "core", "configmaps", name)],
    },
  };
}

/** The user or group to which a permission is granted. */
export interface Grantee {
  readonly kind: "user" | "group";
  readonly name: string;
}

/** The permissions for which Kubernetes has a built-in role, each with that role and the name of its binding. */
export const KUBELET_GRANTS = {
  nodeclient: {
    role: "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
    binding: "tlsboot:node-autoapprove-bootstrap",
  },
  selfnodeclient: {
    role: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    binding: "tlsboot:node-autoapprove-certificate-rotation",
  },
} as const;

/** Formats the command that grants `create` on a subresource of certificatesigningrequests. */
export function formatGrantCommand(permission: string, { kind, name }: Grantee): string {
  const bind = (binding: string, role: string): string =>
    `kubectl create clusterrolebinding ${shellWord(binding)} --clusterrole=${shellWord(role)} --${kind}=${
      shellWord(name)
    }`;
  if (permission === "nodeclient" || permission === "selfnodeclient") {
    const { binding, role } = KUBELET_GRANTS[permission];
    return bind(binding, role);
  }
  const role = `tlsboot:${permission}`;
  const resource = `certificatesigningrequests.certificates.k8s.io/${permission}`;
  return `kubectl create clusterrole ${shellWord(role)} --verb=create --resource=${shellWord(resource)} && ` +
    bind(role, role);
}

/** The access that an approver needs for its policies. */
interface PolicyNeeds {
  /** The signers whose requests are approved or denied: exact names, or `domain/*`. */
  readonly signerNames: readonly string[];
  /** Whether Nodes must be watched, because their status is evidence. */
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
    nodes: policies.some((policy) => requiresOwnership(policy) && usesNodeReports(policy.evidence)),
  };
}

/** Reports whether a policy approves nothing, or only renewals, without an inventory. */
export function needsInventory(policy: Policy): boolean {
  return policy.machines === "inventory" ||
    requiresOwnership(policy) && policy.evidence.inventory && !policy.evidence.trustNodeStatus;
}

function requiresOwnership({ rules }: Policy): boolean {
  return rules.some(({ require: wanted }) => wanted.names?.owned === true);
}
