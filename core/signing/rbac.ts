/**
 * What a signer needs of an API server, and nothing beyond: one source for `--print-rbac`, `docs/rbac/signer.yaml` and the
 * rights of the custom signers that `up` runs.
 */
import { createHash } from "node:crypto";
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
  /** What its objects are called by. */
  readonly names: SignerObjectNames;
  /** Namespace of its Lease; undefined when it stands for no election. */
  readonly leaseNamespace: string | undefined;
}

/** Names of what a signer has at an API. */
export interface SignerObjectNames {
  readonly serviceAccount: string;
  /** Of its roles and bindings. */
  readonly role: string;
  readonly lease: string;
}

/** One object of a manifest and what it is for. */
export interface SignerRbacPart {
  readonly comment: string;
  readonly object: KubeObject;
}

/** Where its service account is, and the CAs that the API believes. */
const NAMESPACE = "kube-system";
const CERTIFICATES = "certificates.k8s.io";
const MAX_NAME = 253;

/**
 * The names for signers that were chosen, none for those of Kubernetes. Signers for different names must not stand for the
 * same election, nor take each other's rights away.
 */
export function signerObjectNames(chosen: readonly string[]): SignerObjectNames {
  const words = [...chosen].sort().map((name) => name.replace("/", ".")).join(".");
  const suffix = words.length <= MAX_NAME - "tlsboot-signer.".length
    ? words
    : createHash("sha256").update(words).digest("hex").slice(0, 16);
  const account = suffix === "" ? "tlsboot-signer" : `tlsboot-signer.${suffix}`;
  return {
    serviceAccount: account,
    lease: account,
    role: suffix === "" ? "tlsboot:signer" : `tlsboot:signer:${suffix}`,
  };
}

/** The manifest, in the order in which it is applied. */
export function signerManifest({ signerNames, names, leaseNamespace }: SignerRbacOptions): readonly SignerRbacPart[] {
  const { serviceAccount, role, lease } = names;
  const what = "What `tlsboot signer` needs at a Kubernetes API server.";
  const account: KubeObject = { metadata: { name: serviceAccount, namespace: NAMESPACE } };
  const subject = subjectOf(serviceAccount);
  return [
    part(serviceAccountKind, what, account),
    part(
      clusterRoleKind,
      "It reads requests, and writes certificates and Failed conditions, which both stand in the status.",
      signerClusterRole(role, signerNames),
    ),
    part(clusterRoleBindingKind, "", signerClusterRoleBinding(role, serviceAccount)),
    ...namespaced(`${role}-client-ca`, NAMESPACE, subject, "It reads which CAs the API believes for clients.", [{
      verbs: ["get"],
      apiGroups: [""],
      resources: ["configmaps"],
      resourceNames: ["extension-apiserver-authentication"],
    }]),
    ...(leaseNamespace === undefined ? [] : namespaced(
      role,
      leaseNamespace,
      subject,
      "For leader election; not needed with --leader-elect=false.",
      leaseRules(lease),
    )),
  ];
}

/** What is the same in every namespace: requests, and signing for these signers. */
export function signerClusterRole(name: string, signerNames: readonly string[]): ClusterRole {
  return {
    metadata: { name },
    rules: [
      { verbs: ["get", "list", "watch"], apiGroups: [CERTIFICATES], resources: ["certificatesigningrequests"] },
      { verbs: ["update"], apiGroups: [CERTIFICATES], resources: ["certificatesigningrequests/status"] },
      { verbs: ["sign"], apiGroups: [CERTIFICATES], resources: ["signers"], resourceNames: [...signerNames].sort() },
    ],
  };
}

/** Gives it to a service account in kube-system. */
export function signerClusterRoleBinding(role: string, serviceAccount: string): ClusterRoleBinding {
  return { metadata: { name: role }, ...bound("ClusterRole", role, subjectOf(serviceAccount)) };
}

function leaseRules(name: string): readonly PolicyRule[] {
  const leases = { apiGroups: ["coordination.k8s.io"], resources: ["leases"] };
  // What is created has no name yet that a rule could ask for.
  return [{ verbs: ["create"], ...leases }, { verbs: ["get", "update"], ...leases, resourceNames: [name] }];
}

function namespaced(
  name: string,
  namespace: string,
  subject: Subject,
  comment: string,
  rules: readonly PolicyRule[],
): readonly SignerRbacPart[] {
  const role: Role = { metadata: { name, namespace }, rules };
  const binding: RoleBinding = { metadata: { name, namespace }, ...bound("Role", name, subject) };
  return [part(roleKind, comment, role), part(roleBindingKind, "", binding)];
}

function bound(
  kind: "ClusterRole" | "Role",
  name: string,
  subject: Subject,
): Pick<RoleBinding, "subjects" | "roleRef"> {
  return { subjects: [subject], roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name } };
}

function subjectOf(serviceAccount: string): Subject {
  return { kind: "ServiceAccount", name: serviceAccount, namespace: NAMESPACE };
}

function part(kind: Kind, comment: string, object: KubeObject): SignerRbacPart {
  return { comment, object: { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object } };
}
