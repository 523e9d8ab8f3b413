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
import { boundTo, LEASE_COMMENT, leaseRules, type ManifestPart, manifestPart } from "../rbac/manifest.ts";

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

/** Where its service account is, and the CAs that the API believes. */
const NAMESPACE = "kube-system";
const CERTIFICATES = "certificates.k8s.io";
const MAX_NAME = 253;

/**
 * The names for signers that were chosen, none for those of Kubernetes. Signers for different names must not stand for the
 * same election, nor take each other's rights away.
 */
export function createSignerObjectNames(chosen: readonly string[]): SignerObjectNames {
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
export function createSignerManifest(
  { signerNames, names, leaseNamespace }: SignerRbacOptions,
): readonly ManifestPart[] {
  const { serviceAccount, role, lease } = names;
  const what = "What `tlsboot signer` needs at a Kubernetes API server.";
  const account: KubeObject = { metadata: { name: serviceAccount, namespace: NAMESPACE } };
  const subject = toSubject(serviceAccount);
  return [
    manifestPart(serviceAccountKind, { comment: what, object: account }),
    manifestPart(clusterRoleKind, {
      comment: "It reads requests, and writes certificates and Failed conditions, which both stand in the status.",
      object: signerClusterRole(role, signerNames),
    }),
    manifestPart(clusterRoleBindingKind, { comment: "", object: signerClusterRoleBinding(role, serviceAccount) }),
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
      LEASE_COMMENT,
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
  return { metadata: { name: role }, ...boundTo("ClusterRole", role, toSubject(serviceAccount)) };
}

function namespaced(
  name: string,
  namespace: string,
  subject: Subject,
  comment: string,
  rules: readonly PolicyRule[],
): readonly ManifestPart[] {
  const role: Role = { metadata: { name, namespace }, rules };
  const binding: RoleBinding = { metadata: { name, namespace }, ...boundTo("Role", name, subject) };
  return [
    manifestPart(roleKind, { comment, object: role }),
    manifestPart(roleBindingKind, { comment: "", object: binding }),
  ];
}

function toSubject(serviceAccount: string): Subject {
  return { kind: "ServiceAccount", name: serviceAccount, namespace: NAMESPACE };
}
