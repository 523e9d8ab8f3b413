/** The kinds of `rbac.authorization.k8s.io/v1` (staging `k8s.io/api/rbac/v1/types.go`). */
import type { KubeObject } from "./meta.ts";

/** The API group of roles, of users and of groups. */
export const RBAC_GROUP = "rbac.authorization.k8s.io";

/** Verbs that are allowed on resources or on paths. */
export interface PolicyRule {
  readonly verbs: readonly string[] | null;
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

/** Rules that apply within one namespace. */
export interface Role extends KubeObject {
  readonly rules: readonly PolicyRule[] | null;
}

/** Rules that apply to the whole cluster or in any namespace. */
export interface ClusterRole extends KubeObject {
  readonly rules: readonly PolicyRule[] | null;
  readonly aggregationRule?: { readonly clusterRoleSelectors?: readonly LabelSelector[] };
}

/** A choice of objects by their labels (`meta/v1` LabelSelector). */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** A user, group or service account that is granted a role. */
export interface Subject {
  readonly kind: string;
  readonly apiGroup?: string;
  readonly name: string;
  readonly namespace?: string;
}

/** The role that a binding grants; immutable. */
export interface RoleRef {
  readonly apiGroup: string;
  readonly kind: string;
  readonly name: string;
}

/** Grants a Role or ClusterRole in one namespace. */
export interface RoleBinding extends KubeObject {
  readonly subjects?: readonly Subject[];
  readonly roleRef: RoleRef;
}

/** Grants a ClusterRole in the whole cluster. */
export interface ClusterRoleBinding extends KubeObject {
  readonly subjects?: readonly Subject[];
  readonly roleRef: RoleRef;
}
