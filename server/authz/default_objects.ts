/** The default roles and bindings as objects that the server stores and reconciles at start. */
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from "../../core/kube/kinds/mod.ts";
import { getName } from "../../core/kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../../core/kube/rbac_v1.ts";
import { createDefaultRbac } from "../../core/rbac/default_roles.ts";
import { planReconcile } from "../../core/rbac/reconcile.ts";
import type { BootstrapObject } from "../bootstrap_objects.ts";

const KINDS = {
  clusterroles: clusterRoleKind,
  clusterrolebindings: clusterRoleBindingKind,
  roles: roleKind,
  rolebindings: roleBindingKind,
} as const;

/** Creates every default role and binding under its storage key; bindings come after the roles that they name. */
export function defaultRbacObjects(): readonly BootstrapObject[] {
  const { clusterRoles, clusterRoleBindings, roles, roleBindings } = createDefaultRbac();
  return [
    ...clusterRoles.map((object) => rbacObject("clusterroles", object)),
    ...clusterRoleBindings.map((object) => rbacObject("clusterrolebindings", object)),
    ...roles.map((object) => rbacObject("roles", object)),
    ...roleBindings.map((object) => rbacObject("rolebindings", object)),
  ];
}

/** Creates one RBAC bootstrap object; a changed object is reconciled unless its annotation forbids it. */
export function rbacObject<T extends ClusterRole | ClusterRoleBinding | Role | RoleBinding>(
  plural: "clusterroles" | "clusterrolebindings" | "roles" | "rolebindings",
  wanted: T,
): BootstrapObject {
  const namespace = wanted.metadata.namespace === undefined ? "" : `${wanted.metadata.namespace}/`;
  return {
    key: `/registry/${plural}/${namespace}${getName(wanted)}`,
    kind: KINDS[plural],
    object: wanted,
    // Every object under this key passed the strategy of this kind.
    plan: (existing) => planReconcile(existing as T, wanted),
  };
}
