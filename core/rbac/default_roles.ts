/**
 * The roles and bindings that a server starts with (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy`): canonical
 * objects, marked as Kubernetes marks its own. Nobody is bound to `system:node-bootstrapper`, `nodeclient` or
 * `selfnodeclient` here; that is the operator's decision.
 */
import type { ObjectMeta } from "../kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from "../kube/rbac_v1.ts";
import { AUTHENTICATED_GROUP, MASTERS_GROUP, UNAUTHENTICATED_GROUP } from "../kube/user.ts";
import { CLUSTER_ROLE_RULES } from "./_cluster_role_rules.ts";
import { ADMIN_RULES, EDIT_RULES, VIEW_RULES } from "./_human_rules.ts";
import { allow, EVENTS_RULE } from "./_rule.ts";
import { planAggregation } from "./aggregate.ts";

/** Annotation that lets start-up add what is missing to a default object; `"false"` forbids it. */
export const AUTOUPDATE_ANNOTATION = "rbac.authorization.kubernetes.io/autoupdate";

/** One set of RBAC objects. */
export interface RbacDefaults {
  readonly clusterRoles: readonly ClusterRole[];
  readonly clusterRoleBindings: readonly ClusterRoleBinding[];
  readonly roles: readonly Role[];
  readonly roleBindings: readonly RoleBinding[];
}

const RBAC_GROUP = "rbac.authorization.k8s.io";
const SYSTEM = "kube-system";
const PUBLIC = "kube-public";
const CONTROLLER_MANAGER = "system:kube-controller-manager";
const BOOTSTRAP_SIGNER = "system:controller:bootstrap-signer";
const TOKEN_CLEANER = "system:controller:token-cleaner";
const LEADER_LOCKING = "system::leader-locking-kube-controller-manager";
const AUTHENTICATION_READER = "extension-apiserver-authentication-reader";

/** Builds the default objects; aggregated roles come with their rules. */
export function createDefaultRbac(): RbacDefaults {
  return {
    clusterRoles: clusterRoles(),
    clusterRoleBindings: clusterRoleBindings(),
    roles: roles(),
    roleBindings: roleBindings(),
  };
}

function clusterRoles(): readonly ClusterRole[] {
  const all: readonly ClusterRole[] = [
    aggregated("admin"),
    aggregated("edit", "admin"),
    aggregated("view", "edit"),
    clusterRole("system:aggregate-to-admin", ADMIN_RULES, "admin"),
    clusterRole("system:aggregate-to-edit", EDIT_RULES, "edit"),
    clusterRole("system:aggregate-to-view", VIEW_RULES, "view"),
    ...Object.entries(CLUSTER_ROLE_RULES).map(([name, rules]) => clusterRole(name, rules)),
  ];
  const filled = new Map(planAggregation(all).map((role) => [role.metadata.name, role]));
  return all.map((role) => filled.get(role.metadata.name) ?? role);
}

function clusterRoleBindings(): readonly ClusterRoleBinding[] {
  const controllers = Object.keys(CLUSTER_ROLE_RULES).filter((name) => name.startsWith("system:controller:"));
  return [
    clusterRoleBinding("cluster-admin", [group(MASTERS_GROUP)]),
    clusterRoleBinding("system:basic-user", [group(AUTHENTICATED_GROUP)]),
    clusterRoleBinding("system:cluster-trust-bundle-discovery", [group("system:serviceaccounts")]),
    clusterRoleBinding("system:discovery", [group(AUTHENTICATED_GROUP)]),
    clusterRoleBinding(CONTROLLER_MANAGER, [user(CONTROLLER_MANAGER)]),
    clusterRoleBinding("system:monitoring", [group("system:monitoring")]),
    // Without subjects: the Node authorizer grants the role.
    clusterRoleBinding("system:node", []),
    clusterRoleBinding("system:public-info-viewer", [group(AUTHENTICATED_GROUP), group(UNAUTHENTICATED_GROUP)]),
    ...controllers.map((name) => clusterRoleBinding(name, [serviceAccount(name.slice("system:controller:".length))])),
  ];
}

function roles(): readonly Role[] {
  return [
    role(PUBLIC, BOOTSTRAP_SIGNER, [
      allow("get list watch", "core", "configmaps"),
      allow("update", "core", "configmaps", "cluster-info"),
      EVENTS_RULE,
    ]),
    role(SYSTEM, AUTHENTICATION_READER, [
      allow("get list watch", "core", "configmaps", "extension-apiserver-authentication"),
    ]),
    role(SYSTEM, LEADER_LOCKING, [
      allow("create get list update watch", "coordination.k8s.io", "leases"),
      allow("create get list update watch", "coordination.k8s.io", "leasecandidates"),
    ]),
    role(SYSTEM, BOOTSTRAP_SIGNER, [allow("get list watch", "core", "secrets")]),
    role(SYSTEM, TOKEN_CLEANER, [allow("delete get list watch", "core", "secrets"), EVENTS_RULE]),
  ];
}

function roleBindings(): readonly RoleBinding[] {
  return [
    roleBinding(PUBLIC, BOOTSTRAP_SIGNER, BOOTSTRAP_SIGNER, [serviceAccount("bootstrap-signer")]),
    roleBinding(SYSTEM, `system::${AUTHENTICATION_READER}`, AUTHENTICATION_READER, [
      user(CONTROLLER_MANAGER),
      user("system:kube-scheduler"),
    ]),
    roleBinding(SYSTEM, LEADER_LOCKING, LEADER_LOCKING, [
      user(CONTROLLER_MANAGER),
      serviceAccount("kube-controller-manager"),
      serviceAccount("leader-election-controller"),
    ]),
    roleBinding(SYSTEM, BOOTSTRAP_SIGNER, BOOTSTRAP_SIGNER, [serviceAccount("bootstrap-signer")]),
    roleBinding(SYSTEM, TOKEN_CLEANER, TOKEN_CLEANER, [serviceAccount("token-cleaner")]),
  ];
}

/** A role that is filled from those labelled for it, and may itself be part of a bigger one. */
function aggregated(name: string, partOf?: string): ClusterRole {
  const matchLabels = { [aggregationLabel(name)]: "true" };
  return { ...clusterRole(name, null, partOf), aggregationRule: { clusterRoleSelectors: [{ matchLabels }] } };
}

function clusterRole(name: string, rules: readonly PolicyRule[] | null, partOf?: string): ClusterRole {
  return { metadata: metadata(name, undefined, partOf), rules };
}

function clusterRoleBinding(name: string, subjects: readonly Subject[]): ClusterRoleBinding {
  return {
    metadata: metadata(name),
    ...(subjects.length === 0 ? {} : { subjects }),
    roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name },
  };
}

function role(namespace: string, name: string, rules: readonly PolicyRule[]): Role {
  return { metadata: metadata(name, namespace), rules };
}

function roleBinding(namespace: string, name: string, roleName: string, subjects: readonly Subject[]): RoleBinding {
  return {
    metadata: metadata(name, namespace),
    subjects,
    roleRef: { apiGroup: RBAC_GROUP, kind: "Role", name: roleName },
  };
}

function metadata(name: string, namespace?: string, partOf?: string): ObjectMeta {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    labels: {
      "kubernetes.io/bootstrapping": "rbac-defaults",
      ...(partOf === undefined ? {} : { [aggregationLabel(partOf)]: "true" }),
    },
    annotations: { [AUTOUPDATE_ANNOTATION]: "true" },
  };
}

function aggregationLabel(name: string): string {
  return `rbac.authorization.k8s.io/aggregate-to-${name}`;
}

function user(name: string): Subject {
  return { kind: "User", apiGroup: RBAC_GROUP, name };
}

function group(name: string): Subject {
  return { kind: "Group", apiGroup: RBAC_GROUP, name };
}

function serviceAccount(name: string): Subject {
  return { kind: "ServiceAccount", name, namespace: SYSTEM };
}
