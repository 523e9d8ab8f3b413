/**
 * What a signer needs of an API server, and nothing beyond: one source for `--print-rbac`, `docs/rbac/signer.yaml` and the
 * rights of the custom signers that `up` runs.
 */
import {
  clusterRoleBindingKind,
  clusterRoleKind,
  roleBindingKind,
  roleKind,
  serviceAccountKind,
} from "../kube/kinds/mod.ts";
import type { KubeObject } from "../kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from "../kube/rbac_v1.ts";
import { apiVersionOf, type Kind } from "../kube/schema.ts";

/** How the signer runs. */
export interface SignerRbacOptions {
  readonly signerNames: readonly string[];
  /** Namespace of its Lease; undefined when it stands for no election. */
  readonly leaseNamespace: string | undefined;
}

/** One object of a manifest and what it is for. */
export interface SignerRbacPart {
  readonly comment: string;
  readonly object: KubeObject;
}

/** Name of its roles and bindings. */
export const SIGNER_ROLE = "tlsboot:signer";
/** Name of its Lease. */
export const SIGNER_LEASE = "tlsboot-signer";
/** Its service account. */
export const SIGNER_SUBJECT: Subject = { kind: "ServiceAccount", name: "tlsboot-signer", namespace: "kube-system" };

const CERTIFICATES = "certificates.k8s.io";
const NAMESPACE = "kube-system";

/** The manifest, in the order in which it is applied. */
export function signerManifest({ signerNames, leaseNamespace }: SignerRbacOptions): readonly SignerRbacPart[] {
  const what = "What `tlsboot signer` needs at a Kubernetes API server.";
  const account: KubeObject = { metadata: { name: SIGNER_SUBJECT.name, namespace: NAMESPACE } };
  return [
    part(serviceAccountKind, what, account),
    part(
      clusterRoleKind,
      "It reads requests, and writes certificates and Failed conditions, which both stand in the status.",
      signerClusterRole(signerNames),
    ),
    part(clusterRoleBindingKind, "", signerClusterRoleBinding()),
    ...namespaced(`${SIGNER_ROLE}-client-ca`, NAMESPACE, "It reads which CAs the API believes for clients.", [{
      verbs: ["get"],
      apiGroups: [""],
      resources: ["configmaps"],
      resourceNames: ["extension-apiserver-authentication"],
    }]),
    ...(leaseNamespace === undefined ? [] : namespaced(
      SIGNER_ROLE,
      leaseNamespace,
      "For leader election; not needed with --leader-elect=false.",
      leaseRules(),
    )),
  ];
}

/** What is the same in every namespace: requests, and signing for these signers. */
export function signerClusterRole(signerNames: readonly string[]): ClusterRole {
  return {
    metadata: { name: SIGNER_ROLE },
    rules: [
      { verbs: ["get", "list", "watch"], apiGroups: [CERTIFICATES], resources: ["certificatesigningrequests"] },
      { verbs: ["update"], apiGroups: [CERTIFICATES], resources: ["certificatesigningrequests/status"] },
      { verbs: ["sign"], apiGroups: [CERTIFICATES], resources: ["signers"], resourceNames: [...signerNames].sort() },
    ],
  };
}

/** Who gets it. */
export function signerClusterRoleBinding(): ClusterRoleBinding {
  return { metadata: { name: SIGNER_ROLE }, ...bound("ClusterRole", SIGNER_ROLE) };
}

function leaseRules(): readonly PolicyRule[] {
  const leases = { apiGroups: ["coordination.k8s.io"], resources: ["leases"] };
  // What is created has no name yet that a rule could ask for.
  return [{ verbs: ["create"], ...leases }, { verbs: ["get", "update"], ...leases, resourceNames: [SIGNER_LEASE] }];
}

function namespaced(
  name: string,
  namespace: string,
  comment: string,
  rules: readonly PolicyRule[],
): readonly SignerRbacPart[] {
  const role: Role = { metadata: { name, namespace }, rules };
  const binding: RoleBinding = { metadata: { name, namespace }, ...bound("Role", name) };
  return [part(roleKind, comment, role), part(roleBindingKind, "", binding)];
}

function bound(kind: "ClusterRole" | "Role", name: string): Pick<RoleBinding, "subjects" | "roleRef"> {
  return { subjects: [SIGNER_SUBJECT], roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name } };
}

function part(kind: Kind, comment: string, object: KubeObject): SignerRbacPart {
  return { comment, object: { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object } };
}
