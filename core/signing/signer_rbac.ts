/**
 * The permissions that a signer needs at an API server. `--print-rbac`, `docs/rbac/signer.yaml` and the custom signers that
 * `up` runs share them.
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
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from "../kube/kinds/rbac_v1.ts";
import { boundTo, LEASE_COMMENT, leaseRules, type ManifestPart, manifestPart } from "../rbac/manifest.ts";
import { CERTIFICATES_GROUP } from "../kube/kinds/certificates_v1.ts";

/** The options of a signer that determine its permissions. */
export interface SignerRbacOptions {
  readonly signerNames: readonly string[];
  /** Whether it signs for pods, and publishes its CAs; by default it signs CertificateSigningRequests. */
  readonly isForPods?: boolean;
  readonly names: SignerObjectNames;
  /** The namespace of its Lease; undefined without leader election. */
  readonly leaseNamespace: string | undefined;
}

/** The names of a signer's objects at an API. */
export interface SignerObjectNames {
  readonly serviceAccount: string;
  /** The name of its roles and bindings. */
  readonly role: string;
  readonly lease: string;
}

/** The namespace of its service account, and of the config map with the CAs that the API trusts. */
const NAMESPACE = "kube-system";
const MAX_NAME = 253;

/**
 * Creates the object names for the chosen signer names; the list is empty for Kubernetes' signers. Signers of different names
 * must not share a leader election or overwrite each other's permissions, and neither must one for pods and one for other
 * requests.
 */
export function createSignerObjectNames(chosen: readonly string[], isForPods = false): SignerObjectNames {
  const command = isForPods ? "pod-signer" : "signer";
  const words = [...chosen].sort().map((name) => name.replace("/", ".")).join(".");
  const suffix = words.length <= MAX_NAME - `tlsboot-${command}.`.length
    ? words
    : createHash("sha256").update(words).digest("hex").slice(0, 16);
  const account = suffix === "" ? `tlsboot-${command}` : `tlsboot-${command}.${suffix}`;
  return {
    serviceAccount: account,
    lease: account,
    role: suffix === "" ? `tlsboot:${command}` : `tlsboot:${command}:${suffix}`,
  };
}

/** Creates the manifest in the order of its application. */
export function createSignerManifest(
  { signerNames, isForPods = false, names, leaseNamespace }: SignerRbacOptions,
): readonly ManifestPart[] {
  const { serviceAccount, role, lease } = names;
  const what = `What \`tlsboot signer${isForPods ? " --pod-certificates" : ""}\` needs at a Kubernetes API server.`;
  const account: KubeObject = { metadata: { name: serviceAccount, namespace: NAMESPACE } };
  const subject = toSubject(serviceAccount);
  return [
    manifestPart(serviceAccountKind, { comment: what, object: account }),
    manifestPart(
      clusterRoleKind,
      isForPods
        ? {
          comment: "It reads requests of pods, writes their status, and publishes its CAs as ClusterTrustBundles.",
          object: podSignerClusterRole(role, signerNames),
        }
        : {
          comment: "It reads requests, and writes certificates and Failed conditions, which both stand in the status.",
          object: signerClusterRole(role, signerNames),
        },
    ),
    manifestPart(clusterRoleBindingKind, { comment: "", object: signerClusterRoleBinding(role, serviceAccount) }),
    ...clientCaParts(role, subject),
    ...(leaseNamespace === undefined ? [] : namespaced(
      role,
      leaseNamespace,
      subject,
      LEASE_COMMENT,
      leaseRules(lease),
    )),
  ];
}

/** The name of the service account, the role and the binding of `tlsboot offline export` and `offline import`. */
const IMPORTER = { serviceAccount: "tlsboot-csr-import", role: "tlsboot:csr-import" } as const;

/** Creates the manifest of the permissions of `tlsboot offline export` and `offline import` for these signers. */
export function createImporterManifest(signerNames: readonly string[]): readonly ManifestPart[] {
  const { serviceAccount, role } = IMPORTER;
  const account: KubeObject = { metadata: { name: serviceAccount, namespace: NAMESPACE } };
  return [
    manifestPart(serviceAccountKind, {
      comment: "What `tlsboot offline export` and `tlsboot offline import` need at a Kubernetes API server.",
      object: account,
    }),
    manifestPart(clusterRoleKind, {
      comment: "They read requests, and write certificates and Failed conditions, which both stand in the status.",
      object: signerClusterRole(role, signerNames, ["get", "list"]),
    }),
    manifestPart(clusterRoleBindingKind, { comment: "", object: signerClusterRoleBinding(role, serviceAccount) }),
    ...clientCaParts(role, toSubject(serviceAccount)),
  ];
}

function clientCaParts(role: string, subject: Subject): readonly ManifestPart[] {
  return namespaced(`${role}-client-ca`, NAMESPACE, subject, "It reads which CAs the API trusts for clients.", [{
    verbs: ["get"],
    apiGroups: [""],
    resources: ["configmaps"],
    resourceNames: ["extension-apiserver-authentication"],
  }]);
}

/** Creates the ClusterRole with access to requests and with the permission to sign for these signers. */
export function signerClusterRole(
  name: string,
  signerNames: readonly string[],
  verbs: readonly string[] = ["get", "list", "watch"],
): ClusterRole {
  return {
    metadata: { name },
    rules: [
      { verbs, apiGroups: [CERTIFICATES_GROUP], resources: ["certificatesigningrequests"] },
      { verbs: ["update"], apiGroups: [CERTIFICATES_GROUP], resources: ["certificatesigningrequests/status"] },
      {
        verbs: ["sign"],
        apiGroups: [CERTIFICATES_GROUP],
        resources: ["signers"],
        resourceNames: [...signerNames].sort(),
      },
    ],
  };
}

/** Creates the ClusterRole of a signer of pod certificates. The verb `attest` is for the bundles of these signers. */
export function podSignerClusterRole(name: string, signerNames: readonly string[]): ClusterRole {
  return {
    metadata: { name },
    rules: [
      { verbs: ["list", "watch"], apiGroups: [CERTIFICATES_GROUP], resources: ["podcertificaterequests"] },
      { verbs: ["update"], apiGroups: [CERTIFICATES_GROUP], resources: ["podcertificaterequests/status"] },
      {
        verbs: ["list", "watch", "create", "update", "delete"],
        apiGroups: [CERTIFICATES_GROUP],
        resources: ["clustertrustbundles"],
      },
      {
        verbs: ["sign", "attest"],
        apiGroups: [CERTIFICATES_GROUP],
        resources: ["signers"],
        resourceNames: [...signerNames].sort(),
      },
    ],
  };
}

/** Binds the ClusterRole to a service account in kube-system. */
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
