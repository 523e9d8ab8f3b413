/** Manifests of the permissions that a controller needs at an API server, with a comment for each object. */
import {
  clusterRoleBindingKind,
  clusterRoleKind,
  roleBindingKind,
  roleKind,
  serviceAccountKind,
} from "../kube/kinds/mod.ts";
import type { ClusterRole, Role, RoleBinding, Subject } from "../kube/kinds/rbac_v1.ts";
import { getName, type KubeObject } from "../kube/meta.ts";
import { formatApiVersion, type Kind } from "../kube/schema.ts";
import { allow } from "./allow.ts";

/** An object of a manifest and its comment, which may be empty. */
export interface ManifestPart<T extends KubeObject = KubeObject> {
  readonly comment: string;
  readonly object: T;
}

const NAMESPACE = "kube-system";

/**
 * Creates a manifest in the order of its application: a service account in kube-system, and each role with its binding. A
 * role without a namespace is a ClusterRole.
 */
export function createManifest(
  comment: string,
  account: string,
  roles: readonly ManifestPart<ClusterRole | Role>[],
  subject: Subject = toAccountSubject(account),
): readonly ManifestPart[] {
  return [
    manifestPart(serviceAccountKind, comment, { metadata: { name: account, namespace: NAMESPACE } }),
    ...roles.flatMap(({ comment, object }) => {
      const [kind, bindingKind] = object.metadata.namespace === undefined
        ? [clusterRoleKind, clusterRoleBindingKind]
        : [roleKind, roleBindingKind];
      return [manifestPart(kind, comment, object), manifestPart(bindingKind, "", bindRole(object, subject))];
    }),
  ];
}

/** Creates a part from an object without `apiVersion` and `kind`. */
export function manifestPart(kind: Kind, comment: string, object: KubeObject): ManifestPart {
  return { comment, object: { apiVersion: formatApiVersion(kind), kind: kind.kind, ...object } };
}

/** Returns a service account in kube-system as the subject of a binding. */
export function toAccountSubject(name: string): Subject {
  return { kind: "ServiceAccount", name, namespace: NAMESPACE };
}

/** Creates the binding of a role to a subject, by default with the name of the role. */
export function bindRole(
  role: Pick<KubeObject, "metadata">,
  subject: Subject,
  name: string = getName(role),
): RoleBinding {
  const { namespace } = role.metadata;
  const kind = namespace === undefined ? "ClusterRole" : "Role";
  return {
    metadata: namespace === undefined ? { name } : { name, namespace },
    subjects: [subject],
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: getName(role) },
  };
}

/** Creates the role for the Events from which a controller notifies a person. */
export function notifierRole(name: string): ManifestPart<ClusterRole> {
  return {
    comment: "For notifications; not needed without --notify and --notify-file.",
    object: { metadata: { name: `${name}-notifications` }, rules: [allow("list watch", "core", "events")] },
  };
}

/** Creates the role for leader election with a Lease. */
export function leaseRole(name: string, namespace: string, lease: string): ManifestPart<Role> {
  return {
    comment: "For leader election; not needed with --leader-elect=false.",
    object: {
      metadata: { name, namespace },
      // RBAC cannot restrict create by name, because the name is not known at authorization.
      rules: [
        allow("create", "coordination.k8s.io", "leases"),
        allow("get update", "coordination.k8s.io", "leases", lease),
      ],
    },
  };
}
