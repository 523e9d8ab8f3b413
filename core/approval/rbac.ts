/**
 * What an approver needs of an API server, and nothing beyond: one source for `--print-rbac`, `docs/rbac/approver.yaml`
 * and the rights of the approver that `up` runs.
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
import type { PolicyNeeds } from "./needs.ts";
import { boundTo, LEASE_COMMENT, leaseRules, type ManifestPart, manifestPart } from "../rbac/manifest.ts";

/** How the approver runs. */
export interface ApproverRbacOptions {
  readonly needs: PolicyNeeds;
  /** Whether it tells what it decides as Events: with a policy, or with `--dry-run`. */
  readonly events: boolean;
  /** It only says what it would do. */
  readonly dryRun: boolean;
  /** Namespace of its Lease; undefined when it stands for no election. */
  readonly leaseNamespace: string | undefined;
  /** Who gets the rights; the service account `tlsboot-approver` in kube-system without it. */
  readonly subject?: Subject;
}

/** The rights, by kind and without it, as they are stored; the service account stands apart. */
export interface ApproverRbac {
  readonly serviceAccount: KubeObject;
  readonly clusterRole: ManifestPart<ClusterRole>;
  readonly clusterRoleBinding: ClusterRoleBinding;
  readonly roles: readonly ManifestPart<Role>[];
  readonly roleBindings: readonly RoleBinding[];
}

/** Name of its roles and bindings. */
export const APPROVER_ROLE = "tlsboot:approver";
/** Name of its Lease. */
export const APPROVER_LEASE = "tlsboot-approver";
/** Its service account. */
export const APPROVER_SUBJECT: Subject = { kind: "ServiceAccount", name: "tlsboot-approver", namespace: "kube-system" };

const CERTIFICATES = "certificates.k8s.io";
/** Where Events about objects without a namespace go, as Kubernetes' own recorders put them. */
export const EVENT_NAMESPACE = "default";

/** The rights of an approver. */
export function createApproverRbac(options: ApproverRbacOptions): ApproverRbac {
  const { subject = APPROVER_SUBJECT, events, leaseNamespace } = options;
  const roles = [
    ...(events ? [eventRole()] : []),
    ...(leaseNamespace === undefined ? [] : [leaseRole(leaseNamespace)]),
  ];
  return {
    serviceAccount: {
      metadata: { name: APPROVER_SUBJECT.name, namespace: "kube-system" },
    },
    clusterRole: clusterRole(options),
    clusterRoleBinding: {
      metadata: { name: APPROVER_ROLE },
      ...boundTo("ClusterRole", APPROVER_ROLE, subject),
    },
    roles,
    roleBindings: roles.map(({ object: { metadata } }) => ({
      metadata,
      ...boundTo("Role", metadata.name ?? "", subject),
    })),
  };
}

/** The same as one list in the order of a manifest, each with its comment. */
export function createApproverManifest(rbac: ApproverRbac): readonly ManifestPart[] {
  const { serviceAccount, clusterRole, clusterRoleBinding, roles, roleBindings } = rbac;
  const what = "What `tlsboot approver` needs at a Kubernetes API server.";
  return [
    manifestPart(serviceAccountKind, { comment: what, object: serviceAccount }),
    manifestPart(clusterRoleKind, clusterRole),
    manifestPart(clusterRoleBindingKind, { comment: "", object: clusterRoleBinding }),
    ...roles.flatMap((role, index) => {
      const binding = roleBindings[index];
      const both = [manifestPart(roleKind, role)];
      return binding === undefined ? both : [...both, manifestPart(roleBindingKind, { comment: "", object: binding })];
    }),
  ];
}

function clusterRole({ needs, dryRun }: ApproverRbacOptions): ManifestPart<ClusterRole> {
  const decide: readonly PolicyRule[] = [
    { verbs: ["update"], apiGroups: [CERTIFICATES], resources: ["certificatesigningrequests/approval"] },
    { verbs: ["approve"], apiGroups: [CERTIFICATES], resources: ["signers"], resourceNames: needs.signerNames },
  ];
  const rules: readonly PolicyRule[] = [
    { verbs: ["get", "list", "watch"], apiGroups: [CERTIFICATES], resources: ["certificatesigningrequests"] },
    ...(dryRun ? [] : decide),
    { verbs: ["create"], apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"] },
    ...(needs.nodes ? [{ verbs: ["list", "watch"], apiGroups: [""], resources: ["nodes"] }] : []),
  ];
  const others = [
    ...(dryRun ? [] : ["decides about those of some signers"]),
    ...(needs.nodes ? ["reads what nodes report"] : []),
  ];
  return {
    comment: ["It reads requests", ...others].join(", ") + ", and asks what requesters may have.",
    object: { metadata: { name: APPROVER_ROLE }, rules },
  };
}

function eventRole(): ManifestPart<Role> {
  return {
    comment: "It tells what it decides as Events; those about requests lie in this namespace.",
    object: {
      metadata: { name: `${APPROVER_ROLE}-events`, namespace: EVENT_NAMESPACE },
      rules: [{ verbs: ["create"], apiGroups: ["events.k8s.io"], resources: ["events"] }],
    },
  };
}

function leaseRole(namespace: string): ManifestPart<Role> {
  return {
    comment: LEASE_COMMENT,
    object: { metadata: { name: APPROVER_ROLE, namespace }, rules: leaseRules(APPROVER_LEASE) },
  };
}
