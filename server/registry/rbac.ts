/** `rbac.authorization.k8s.io/v1` roles and bindings. Users cannot grant permissions that they do not have. */
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from "../../core/kube/kinds/rbac_v1.ts";
import type { Kind } from "../../core/kube/schema.ts";
import {
  defaultBinding,
  validateBindingCreate,
  validateBindingUpdate,
  validateClusterRole,
  validateRole,
} from "../../core/kube/rules/rbac.ts";
import type { FieldError } from "../../core/kube/status/field_error.ts";
import type { Authorizer, RbacSource } from "../authz/authorizer.ts";
import { checkBindingEscalation, checkRoleEscalation } from "../authz/escalation_check.ts";
import {
  ageColumn,
  type Column,
  createdAtColumn,
  nameColumn,
  type Resource,
  STANDARD_VERBS,
  textColumn,
} from "./resource.ts";

/** A binding of either scope. */
type Binding = KubeObject & { readonly subjects?: readonly Subject[]; readonly roleRef: RoleRef };

export const RBAC_KINDS = [clusterRoleKind, clusterRoleBindingKind, roleKind, roleBindingKind] as const;

/** The dependencies of the escalation checks. */
interface RbacResourceDeps {
  readonly authorizer: Authorizer;
  readonly rbac: RbacSource;
}

/** The properties that all four resources share. */
const SHARED = { verbs: STANDARD_VERBS, deletion: { withoutUnsafe: true } } as const;

const SHARED_RULES = {
  checksGenerateName: true,
  validateName: pathSegmentNameErrors,
  createOnUpdate: true,
} as const;

export function createRbacResources(
  deps: RbacResourceDeps,
): readonly [Resource<ClusterRole>, Resource<ClusterRoleBinding>, Resource<Role>, Resource<RoleBinding>] {
  return [
    createRoleResource<ClusterRole>(deps, clusterRoleKind, validateClusterRole),
    createBindingResource<ClusterRoleBinding>(deps, clusterRoleBindingKind, "cluster role binding"),
    createRoleResource<Role>(deps, roleKind, validateRole),
    createBindingResource<RoleBinding>(deps, roleBindingKind, "role binding"),
  ];
}

function createRoleResource<T extends Role | ClusterRole>(
  deps: RbacResourceDeps,
  kind: Kind,
  validate: (role: T) => readonly FieldError[],
): Resource<T> {
  return {
    ...SHARED,
    kind,
    columns: [nameColumn, createdAtColumn],
    strategy: { ...SHARED_RULES, validateCreate: validate, validateUpdate: validate },
    guard: (role, stored, request) => checkRoleEscalation(deps, kind, role, stored, request),
  };
}

function createBindingResource<T extends RoleBinding | ClusterRoleBinding>(
  deps: RbacResourceDeps,
  kind: Kind,
  what: string,
): Resource<T> {
  return {
    ...SHARED,
    kind,
    columns: createBindingColumns(what),
    strategy: {
      ...SHARED_RULES,
      applyDefaults: defaultBinding,
      validateCreate: (binding) => validateBindingCreate(binding, kind.namespaced),
      validateUpdate: (binding, stored) => validateBindingUpdate(binding, stored, kind.namespaced),
    },
    guard: (binding, stored, { user }) => checkBindingEscalation(deps, kind, binding, stored, user),
  };
}

function createBindingColumns(what: string): readonly Column<Binding>[] {
  const subjects = (name: string, kind: string): Column<Binding> =>
    textColumn(
      name,
      `${name} that the ${what} names.`,
      (binding) =>
        (binding.subjects ?? []).filter((subject) => subject.kind === kind)
          .map((subject) => kind === "ServiceAccount" ? `${subject.namespace ?? ""}/${subject.name}` : subject.name)
          .join(", "),
      1,
    );
  return [
    nameColumn,
    textColumn("Role", `The role that the ${what} grants.`, ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
    ageColumn,
    subjects("Users", "User"),
    subjects("Groups", "Group"),
    subjects("ServiceAccounts", "ServiceAccount"),
  ];
}
