/**
 * The roles of people who handle certificate requests. Each is a ClusterRole that `kubeconfig user --role` creates when
 * it is missing, so a server or cluster where no one uses them has only the roles of Kubernetes.
 */
import { SYSTEM_NAMESPACE } from "../../../core/kube/meta.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../../core/kube/kinds/constants.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
} from "../../../core/kube/kinds/rbac_v1.ts";
import { allow, approve, bindRole, toUserSubject } from "../../../core/rbac/manifest.ts";
import type { PersonRole } from "./flags.ts";

/** The signers of Kubernetes that people approve for; `legacy-unknown` guarantees nothing, so it is not among them. */
const KUBERNETES_SIGNERS = [KUBE_APISERVER_CLIENT_SIGNER, KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER];
/** The ConfigMap in which an approver publishes its policies (`core/approval/published.ts`). */
const APPROVER_CONFIG_MAP = "tlsboot-approver";

const VIEWER_RULES: readonly PolicyRule[] = [
  allow(
    "get list watch",
    "certificates.k8s.io",
    "certificatesigningrequests clustertrustbundles podcertificaterequests",
  ),
  allow("get list watch", "tlsboot", "issuedcertificates requestrecords revocations carotations trustreports"),
  allow("get list watch", "core", "nodes"),
  allow("get list watch", "core events.k8s.io", "events"),
  allow("get list watch", "coordination.k8s.io", "leases"),
  // The policies by which the approver decides, to explain its verdicts.
  allow("get", "core", "configmaps", APPROVER_CONFIG_MAP),
];

const OPERATOR_RULES: readonly PolicyRule[] = [
  allow("delete", "certificates.k8s.io", "certificatesigningrequests"),
  allow("create delete", "tlsboot", "revocations"),
];

/** Creates the ClusterRole of a role. An approver approves for the signers of Kubernetes and for these custom signers. */
export function createPersonRole(role: PersonRole, customSigners: readonly string[]): ClusterRole {
  const approverRules = [
    allow("patch update", "certificates.k8s.io", "certificatesigningrequests/approval"),
    approve([...KUBERNETES_SIGNERS, ...customSigners].join(" ")),
  ];
  return {
    metadata: { name: toRoleName(role) },
    rules: [
      ...VIEWER_RULES,
      ...(role === "viewer" ? [] : approverRules),
      ...(role === "operator" ? OPERATOR_RULES : []),
    ],
  };
}

/**
 * Creates the Role of an operator for bootstrap tokens, which are Secrets. RBAC cannot select Secrets by their type, so the
 * rule applies to all Secrets in the namespace.
 */
export function createTokenRole(): Role {
  return {
    metadata: { name: toRoleName("operator"), namespace: SYSTEM_NAMESPACE },
    rules: [allow("create delete get list watch", "core", "secrets")],
  };
}

/** Creates the binding of a ClusterRole to a person. */
export function createPersonBinding(role: PersonRole, person: string): ClusterRoleBinding {
  return bindRole({ metadata: { name: toRoleName(role) } }, toUserSubject(person), toBindingName(role, person));
}

/** Creates the binding of an operator's Role for bootstrap tokens. */
export function createTokenBinding(person: string): RoleBinding {
  return bindRole(createTokenRole(), toUserSubject(person), toBindingName("operator", person));
}

/** Returns the name of the ClusterRole of a role. */
export function toRoleName(role: PersonRole): string {
  return `tlsboot:${role}`;
}

export function toBindingName(role: PersonRole, person: string): string {
  return `${toRoleName(role)}:${person}`;
}

/** Describes what a role allows, in one or more lines. */
export function describePersonRole(role: PersonRole, customSigners: readonly string[]): readonly string[] {
  const lines = ["read requests, certificates, revocations, the rotation of CAs, nodes and events, and no Secrets"];
  if (role === "viewer") return lines;
  lines.push(`approve and deny requests for ${[...KUBERNETES_SIGNERS, ...customSigners].join(", ")}`);
  if (role === "approver") return lines;
  return [
    ...lines.map((line) => line.replace(", and no Secrets", "")),
    "revoke certificates, machines and users, take revocations back, and delete requests",
    `create, list and delete bootstrap tokens, and with them every Secret in ${SYSTEM_NAMESPACE}`,
  ];
}
