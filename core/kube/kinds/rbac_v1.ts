/** Roles and their bindings in `rbac.authorization.k8s.io/v1` (staging `k8s.io/api/rbac/v1/types.go`). */
import type { KubeObject, LabelSelector } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion, namespaced } from "./kind.ts";
import { labelSelectorSchema } from "./meta_v1.ts";
import { always, atomic, omitempty, optional, required, STRING } from "./notation.ts";

/** The API group of roles, of users and of groups. */
export const RBAC_GROUP = "rbac.authorization.k8s.io";

const { atomicMessage, kind, message } = describeVersion(RBAC_GROUP, "v1", "io.k8s.api.rbac.v1");

/** Verbs that are allowed on resources or on paths. */
export interface PolicyRule {
  readonly verbs: readonly string[] | null;
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

const policyRule = message<PolicyRule>("PolicyRule", "Verbs that are allowed on resources or paths.", {
  verbs: required(1, atomic(STRING), "Verbs that are allowed; * means all."),
  apiGroups: omitempty(2, atomic(STRING), 'Groups of the resources; "" is the core group, * means all.'),
  resources: omitempty(3, atomic(STRING), "Resources, with a subresource after a slash; * means all."),
  resourceNames: omitempty(4, atomic(STRING), "Restricts the rule to objects of these names."),
  nonResourceURLs: omitempty(5, atomic(STRING), "Allowed paths, whose last segment may be *; cluster roles only."),
});

/** Rules that apply within one namespace. */
export interface Role extends KubeObject {
  readonly rules: readonly PolicyRule[] | null;
}

export const roleKind: Kind = kind<Role>("Role", namespaced(), "Rules within one namespace.", {
  rules: always(2, atomic(policyRule), "The rules of the role."),
});

const aggregationRule = message("AggregationRule", "The roles that a cluster role combines.", {
  clusterRoleSelectors: omitempty(1, atomic(labelSelectorSchema), "Selects cluster roles by label; any match counts."),
});

/** Rules that apply to the whole cluster or in any namespace. */
export interface ClusterRole extends KubeObject {
  readonly rules: readonly PolicyRule[] | null;
  readonly aggregationRule?: { readonly clusterRoleSelectors?: readonly LabelSelector[] };
}

export const clusterRoleKind: Kind = kind<ClusterRole>(
  "ClusterRole",
  clusterWide(),
  "Rules for the whole cluster, or to be bound in any namespace.",
  {
    rules: always(2, atomic(policyRule), "The rules of the role."),
    aggregationRule: optional(3, aggregationRule, "Fills the rules from other roles."),
  },
);

/** A user, group or service account that is granted a role. */
export interface Subject {
  readonly kind: string;
  readonly apiGroup?: string;
  readonly name: string;
  readonly namespace?: string;
}

const subject = atomicMessage<Subject>("Subject", "A user, group or service account.", {
  kind: required(1, STRING, "User, Group or ServiceAccount."),
  apiGroup: omitempty(2, STRING, "Group of the kind: empty for service accounts, else rbac.authorization.k8s.io."),
  name: required(3, STRING, "Name of the subject."),
  namespace: omitempty(4, STRING, "Namespace of a service account."),
});

/** The role that a binding grants; immutable. */
export interface RoleRef {
  readonly apiGroup: string;
  readonly kind: string;
  readonly name: string;
}

const roleRef = atomicMessage<RoleRef>("RoleRef", "A reference to the role that is bound.", {
  apiGroup: always(1, STRING, "Group of the role."),
  kind: required(2, STRING, "Role or ClusterRole."),
  name: required(3, STRING, "Name of the role."),
});

/** Grants a Role or ClusterRole in one namespace. */
export interface RoleBinding extends KubeObject {
  readonly subjects?: readonly Subject[];
  readonly roleRef: RoleRef;
}

export const roleBindingKind: Kind = kind<RoleBinding>(
  "RoleBinding",
  namespaced(),
  "Grants a role to subjects within one namespace.",
  {
    subjects: omitempty(2, atomic(subject), "Subjects that get the role."),
    roleRef: required(3, roleRef, "The role; cannot change."),
  },
);

/** Grants a ClusterRole in the whole cluster. */
export interface ClusterRoleBinding extends KubeObject {
  readonly subjects?: readonly Subject[];
  readonly roleRef: RoleRef;
}

export const clusterRoleBindingKind: Kind = kind<ClusterRoleBinding>(
  "ClusterRoleBinding",
  clusterWide(),
  "Grants a cluster role to subjects everywhere.",
  {
    subjects: omitempty(2, atomic(subject), "Subjects that get the role."),
    roleRef: required(3, roleRef, "The cluster role; cannot change."),
  },
);
