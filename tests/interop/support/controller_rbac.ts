/** The least that our controllers and a bootstrapping node need of a real kube-apiserver, as manifests. */

import type { PolicyRule } from "../../../core/kube/rbac_v1.ts";
import { BUILTIN_SIGNERS } from "../../../core/signing/profile.ts";
import { signerClusterRole } from "../../../core/signing/rbac.ts";

const GROUP = "certificates.k8s.io";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const READ_CSRS: Rule = {
  apiGroups: [GROUP],
  resources: ["certificatesigningrequests"],
  verbs: ["get", "list", "watch"],
};
const ELECT: Rule = { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] };

/** Rules of `tlsboot signer` without those of its election: what `--print-rbac` prints for Kubernetes' signers. */
const SIGNER = signerClusterRole("tlsboot-signer", [...BUILTIN_SIGNERS.keys()]).rules ?? [];
/** Which CAs the API believes for clients. */
const CLIENT_CAS: Rule = {
  apiGroups: [""],
  resources: ["configmaps"],
  resourceNames: ["extension-apiserver-authentication"],
  verbs: ["get"],
};

/** Rules of `tlsboot approver` without those of its election. */
const APPROVER: readonly Rule[] = [
  READ_CSRS,
  { apiGroups: [GROUP], resources: ["certificatesigningrequests/approval"], verbs: ["update"] },
  {
    apiGroups: [GROUP],
    resources: ["signers"],
    resourceNames: ["kubernetes.io/kube-apiserver-client-kubelet"],
    verbs: ["approve"],
  },
  { apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: ["create"] },
];

/** A List for `kubectl create -f -`: both controllers by their groups, and bootstrap with automatic approval. */
export function controllerRbac(): string {
  const nodes = "system:certificates.k8s.io:certificatesigningrequests";
  return JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      role("ClusterRole", "tlsboot-signer", SIGNER),
      role("ClusterRole", "tlsboot-approver", APPROVER),
      role("Role", "tlsboot-elect", [ELECT]),
      role("Role", "tlsboot-client-cas", [CLIENT_CAS]),
      binding("ClusterRole", "tlsboot-signer", "tlsboot-signers"),
      binding("ClusterRole", "tlsboot-approver", "tlsboot-approvers"),
      binding("Role", "tlsboot-elect", "tlsboot-signers", "tlsboot-approvers"),
      binding("Role", "tlsboot-client-cas", "tlsboot-signers"),
      binding("ClusterRole", "system:node-bootstrapper", "system:bootstrappers"),
      binding("ClusterRole", `${nodes}:nodeclient`, "system:bootstrappers"),
      binding("ClusterRole", `${nodes}:selfnodeclient`, "system:nodes"),
    ],
  });
}

function role(kind: "ClusterRole" | "Role", name: string, rules: readonly (Rule | PolicyRule)[]): unknown {
  return { apiVersion: "rbac.authorization.k8s.io/v1", kind, metadata: metadataOf(kind, name), rules };
}

function binding(kind: "ClusterRole" | "Role", name: string, ...groups: readonly string[]): unknown {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: `${kind}Binding`,
    metadata: metadataOf(kind, `interop:${name}`),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
    subjects: groups.map((group) => ({ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: group })),
  };
}

function metadataOf(kind: "ClusterRole" | "Role", name: string): unknown {
  return kind === "Role" ? { name, namespace: "kube-system" } : { name };
}
