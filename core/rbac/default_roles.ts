/**
 * The roles and bindings that a server starts with (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy`): canonical
 * objects with Kubernetes' own labels. No subject is bound to `system:node-bootstrapper`, `nodeclient` or
 * `selfnodeclient`, because that is the operator's decision.
 */
import { type ObjectMeta, SYSTEM_NAMESPACE } from "../kube/meta.ts";
import {
  type ClusterRole,
  type ClusterRoleBinding,
  type PolicyRule,
  RBAC_GROUP,
  type Role,
  type RoleBinding,
  type Subject,
} from "../kube/kinds/rbac_v1.ts";
import {
  AUTHENTICATED_GROUP,
  CONTROLLER_MANAGER_USER,
  MASTERS_GROUP,
  SCHEDULER_USER,
  SERVICE_ACCOUNTS_GROUP,
  UNAUTHENTICATED_GROUP,
} from "../kube/user.ts";
import { COMPONENT_RULES } from "./default_rules/components.ts";
import { CONTROLLER_RULES } from "./default_rules/controllers.ts";
import { allow, EVENTS_RULE, toGroupSubject, toUserSubject } from "./manifest.ts";

/** The annotation that allows the reconciliation of a default object at start-up; `"false"` forbids it. */
export const AUTOUPDATE_ANNOTATION = "rbac.authorization.kubernetes.io/autoupdate";

export interface RbacDefaults {
  readonly clusterRoles: readonly ClusterRole[];
  readonly clusterRoleBindings: readonly ClusterRoleBinding[];
  readonly roles: readonly Role[];
  readonly roleBindings: readonly RoleBinding[];
}

const PUBLIC = "kube-public";
const CONTROLLER_PREFIX = "system:controller:";
const BOOTSTRAP_SIGNER = "system:controller:bootstrap-signer";
const TOKEN_CLEANER = "system:controller:token-cleaner";
const CLOUD_PROVIDER = "system:controller:cloud-provider";
const CONTROLLER_MANAGER_LOCKING = "system::leader-locking-kube-controller-manager";
const SCHEDULER_LOCKING = "system::leader-locking-kube-scheduler";
const AUTHENTICATION_READER = "extension-apiserver-authentication-reader";

const LEADER_LOCKING_RULES: readonly PolicyRule[] = [
  allow("create get list update watch", "coordination.k8s.io", "leases"),
  allow("create get list update watch", "coordination.k8s.io", "leasecandidates"),
];

/** Builds the default objects. Aggregated roles are empty until the aggregation controller has filled them. */
export function createDefaultRbac(): RbacDefaults {
  return {
    clusterRoles: clusterRoles(),
    clusterRoleBindings: clusterRoleBindings(),
    roles: roles(),
    roleBindings: roleBindings(),
  };
}

function clusterRoles(): readonly ClusterRole[] {
  return [
    aggregated("admin"),
    aggregated("edit", "admin"),
    aggregated("view", "edit"),
    clusterRole("system:aggregate-to-admin", ADMIN_RULES, "admin"),
    clusterRole("system:aggregate-to-edit", EDIT_RULES, "edit"),
    clusterRole("system:aggregate-to-view", VIEW_RULES, "view"),
    ...Object.entries(COMPONENT_RULES).map(([name, rules]) => clusterRole(name, rules)),
    ...Object.entries(CONTROLLER_RULES).map(([name, rules]) => clusterRole(`${CONTROLLER_PREFIX}${name}`, rules)),
  ];
}

function clusterRoleBindings(): readonly ClusterRoleBinding[] {
  return [
    clusterRoleBinding("cluster-admin", [toGroupSubject(MASTERS_GROUP)]),
    clusterRoleBinding("system:basic-user", [toGroupSubject(AUTHENTICATED_GROUP)]),
    clusterRoleBinding("system:cluster-trust-bundle-discovery", [toGroupSubject(SERVICE_ACCOUNTS_GROUP)]),
    clusterRoleBinding("system:discovery", [toGroupSubject(AUTHENTICATED_GROUP)]),
    clusterRoleBinding(CONTROLLER_MANAGER_USER, [toUserSubject(CONTROLLER_MANAGER_USER)]),
    clusterRoleBinding("system:kube-dns", [serviceAccount("kube-dns")]),
    clusterRoleBinding(SCHEDULER_USER, [toUserSubject(SCHEDULER_USER)]),
    clusterRoleBinding("system:monitoring", [toGroupSubject("system:monitoring")]),
    // This binding has no subjects, because the Node authorizer grants the role.
    clusterRoleBinding("system:node", []),
    clusterRoleBinding("system:node-proxier", [toUserSubject("system:kube-proxy")]),
    clusterRoleBinding("system:public-info-viewer", [
      toGroupSubject(AUTHENTICATED_GROUP),
      toGroupSubject(UNAUTHENTICATED_GROUP),
    ]),
    clusterRoleBinding("system:service-account-issuer-discovery", [toGroupSubject(SERVICE_ACCOUNTS_GROUP)]),
    clusterRoleBinding("system:volume-scheduler", [toUserSubject(SCHEDULER_USER)]),
    ...Object.keys(CONTROLLER_RULES).map((name) =>
      clusterRoleBinding(`${CONTROLLER_PREFIX}${name}`, [serviceAccount(name)])
    ),
  ];
}

function roles(): readonly Role[] {
  return [
    role(PUBLIC, BOOTSTRAP_SIGNER, [
      allow("get list watch", "core", "configmaps"),
      allow("update", "core", "configmaps", "cluster-info"),
      EVENTS_RULE,
    ]),
    role(SYSTEM_NAMESPACE, AUTHENTICATION_READER, [
      allow("get list watch", "core", "configmaps", "extension-apiserver-authentication"),
    ]),
    role(SYSTEM_NAMESPACE, CONTROLLER_MANAGER_LOCKING, LEADER_LOCKING_RULES),
    role(SYSTEM_NAMESPACE, SCHEDULER_LOCKING, LEADER_LOCKING_RULES),
    role(SYSTEM_NAMESPACE, BOOTSTRAP_SIGNER, [allow("get list watch", "core", "secrets")]),
    role(SYSTEM_NAMESPACE, CLOUD_PROVIDER, [allow("create get list watch", "core", "configmaps")]),
    role(SYSTEM_NAMESPACE, TOKEN_CLEANER, [allow("delete get list watch", "core", "secrets"), EVENTS_RULE]),
  ];
}

function roleBindings(): readonly RoleBinding[] {
  return [
    roleBinding(PUBLIC, BOOTSTRAP_SIGNER, BOOTSTRAP_SIGNER, [serviceAccount("bootstrap-signer")]),
    roleBinding(SYSTEM_NAMESPACE, `system::${AUTHENTICATION_READER}`, AUTHENTICATION_READER, [
      toUserSubject(CONTROLLER_MANAGER_USER),
      toUserSubject(SCHEDULER_USER),
    ]),
    roleBinding(SYSTEM_NAMESPACE, CONTROLLER_MANAGER_LOCKING, CONTROLLER_MANAGER_LOCKING, [
      toUserSubject(CONTROLLER_MANAGER_USER),
      serviceAccount("kube-controller-manager"),
      serviceAccount("leader-election-controller"),
    ]),
    roleBinding(SYSTEM_NAMESPACE, SCHEDULER_LOCKING, SCHEDULER_LOCKING, [
      toUserSubject(SCHEDULER_USER),
      serviceAccount("kube-scheduler"),
    ]),
    roleBinding(SYSTEM_NAMESPACE, BOOTSTRAP_SIGNER, BOOTSTRAP_SIGNER, [serviceAccount("bootstrap-signer")]),
    roleBinding(SYSTEM_NAMESPACE, CLOUD_PROVIDER, CLOUD_PROVIDER, [serviceAccount("cloud-provider")]),
    roleBinding(SYSTEM_NAMESPACE, TOKEN_CLEANER, TOKEN_CLEANER, [serviceAccount("token-cleaner")]),
  ];
}

/** Creates an aggregated role, which may itself be part of another one. */
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

function serviceAccount(name: string): Subject {
  return { kind: "ServiceAccount", name, namespace: SYSTEM_NAMESPACE };
}

const READ = "get list watch";
const WRITE = "create delete deletecollection patch update";
const READ_WRITE = "create delete deletecollection get list patch update watch";

/** Read access that does not allow privilege escalation. */
const VIEW_RULES: readonly PolicyRule[] = [
  allow(
    READ,
    "core",
    "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers " +
      "replicationcontrollers/scale serviceaccounts services services/status",
  ),
  allow(
    READ,
    "core",
    "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas " +
      "resourcequotas/status",
  ),
  allow(READ, "core", "namespaces"),
  allow(READ, "core events.k8s.io", "events"),
  allow(READ, "discovery.k8s.io", "endpointslices"),
  allow(
    READ,
    "apps",
    "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets " +
      "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
  ),
  allow(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
  allow(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
  allow(
    READ,
    "extensions",
    "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status " +
      "networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale",
  ),
  allow(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
  allow(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
  allow(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
];

/** Write access within a namespace, and read access to its secrets. */
const EDIT_RULES: readonly PolicyRule[] = [
  allow(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
  allow("impersonate", "core", "serviceaccounts"),
  allow(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
  allow("create", "core", "pods/eviction"),
  allow(
    WRITE,
    "core",
    "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts " +
      "services services/proxy",
  ),
  allow("create", "core", "serviceaccounts/token"),
  allow(WRITE, "core events.k8s.io", "events"),
  allow(
    WRITE,
    "apps",
    "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets " +
      "statefulsets/scale",
  ),
  allow(WRITE, "autoscaling", "horizontalpodautoscalers"),
  allow(WRITE, "batch", "cronjobs jobs"),
  allow(
    WRITE,
    "extensions",
    "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets " +
      "replicasets/scale replicationcontrollers/scale",
  ),
  allow(WRITE, "policy", "poddisruptionbudgets"),
  allow(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
  allow(READ_WRITE, "coordination.k8s.io", "leases"),
  allow(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
];

/** The permission to grant roles within a namespace. */
const ADMIN_RULES: readonly PolicyRule[] = [
  allow("create", "authorization.k8s.io", "localsubjectaccessreviews"),
  allow(READ_WRITE, "rbac.authorization.k8s.io", "rolebindings roles"),
];
