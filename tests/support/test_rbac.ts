/** Builders of RBAC objects, users and requests. */
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from "../../core/kube/kinds/rbac_v1.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { PathAttributes, ResourceAttributes } from "../../core/rbac/attributes.ts";
import type { RbacObjects } from "../../core/rbac/evaluate.ts";

const RBAC_GROUP = "rbac.authorization.k8s.io";

export function testUser(username: string, ...groups: string[]): UserInfo {
  return { username, uid: "", groups, extra: {} };
}

/** Creates a resource request, by default `get pods` in the core group. */
export function resourceRequest(edit: Partial<ResourceAttributes> = {}): ResourceAttributes {
  return {
    kind: "resource",
    verb: "get",
    apiGroup: "",
    apiVersion: "v1",
    resource: "pods",
    subresource: "",
    name: "",
    namespace: "",
    ...edit,
  };
}

export function pathRequest(path: string, verb = "get"): PathAttributes {
  return { kind: "path", verb, path };
}

export function userSubject(name: string): Subject {
  return { kind: "User", apiGroup: RBAC_GROUP, name };
}

export function groupSubject(name: string): Subject {
  return { kind: "Group", apiGroup: RBAC_GROUP, name };
}

export function clusterRole(
  name: string,
  rules: readonly PolicyRule[],
  labels: Readonly<Record<string, string>> = {},
): ClusterRole {
  return { metadata: { name, labels }, rules };
}

export function role(namespace: string, name: string, rules: readonly PolicyRule[]): Role {
  return { metadata: { name, namespace }, rules };
}

/** Creates a ClusterRoleBinding to a ClusterRole. */
export function clusterRoleBinding(name: string, roleName: string, ...subjects: Subject[]): ClusterRoleBinding {
  return { metadata: { name }, subjects, roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: roleName } };
}

/** Creates a RoleBinding to a Role or ClusterRole. */
export function roleBinding(
  namespace: string,
  name: string,
  kind: "Role" | "ClusterRole",
  roleName: string,
  ...subjects: Subject[]
): RoleBinding {
  return { metadata: { name, namespace }, subjects, roleRef: { apiGroup: RBAC_GROUP, kind, name: roleName } };
}

/** Creates the index that the evaluator reads. */
export function rbacObjects(parts: {
  readonly clusterRoles?: readonly ClusterRole[];
  readonly clusterRoleBindings?: readonly ClusterRoleBinding[];
  readonly roles?: readonly Role[];
  readonly roleBindings?: readonly RoleBinding[];
}): RbacObjects {
  const roleBindings = new Map<string, RoleBinding[]>();
  for (const binding of parts.roleBindings ?? []) {
    const namespace = binding.metadata.namespace ?? "";
    roleBindings.set(namespace, [...roleBindings.get(namespace) ?? [], binding]);
  }
  return {
    clusterRoles: new Map((parts.clusterRoles ?? []).map((item) => [item.metadata.name ?? "", item])),
    clusterRoleBindings: parts.clusterRoleBindings ?? [],
    roles: new Map((parts.roles ?? []).map((item) => [`${item.metadata.namespace}/${item.metadata.name}`, item])),
    roleBindings,
  };
}
