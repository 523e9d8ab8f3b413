/** `rbac.authorization.k8s.io/v1` roles and bindings. A user cannot grant permissions that the user does not have. */
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding, RoleRef, Subject } from "../../core/kube/rbac_v1.ts";
import {
  defaultBinding,
  validateClusterRoleBindingCreate,
  validateClusterRoleBindingUpdate,
  validateClusterRoleCreate,
  validateClusterRoleUpdate,
  validateRoleBindingCreate,
  validateRoleBindingUpdate,
  validateRoleCreate,
  validateRoleUpdate,
} from "../../core/kube/validation/rbac.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import { checkBindingEscalation, checkRoleEscalation } from "../authz/escalation_check.ts";
import type { RbacSource } from "../authz/rbac_source.ts";
import { ageColumn, createdAtColumn, nameColumn } from "./columns.ts";
import { type Column, createPlainStrategy, type Resource, STANDARD_VERBS } from "./resource.ts";

/** A binding of either scope. */
type Binding = KubeObject & { readonly subjects?: readonly Subject[]; readonly roleRef: RoleRef };

/** The kinds of the four resources. */
export const RBAC_KINDS = [clusterRoleKind, clusterRoleBindingKind, roleKind, roleBindingKind] as const;

/** Creates the resources of the four RBAC kinds. */
export function createRbacResources(deps: {
  readonly authorizer: Authorizer;
  readonly rbac: RbacSource;
}): readonly [Resource<ClusterRole>, Resource<ClusterRoleBinding>, Resource<Role>, Resource<RoleBinding>] {
  const shared = {
    verbs: STANDARD_VERBS,
    selectableFields: [],
    subresources: [],
    deletion: { withoutUnsafe: true as const },
  };
  return [
    {
      ...shared,
      kind: clusterRoleKind,
      columns: [nameColumn, createdAtColumn],
      strategy: createPlainStrategy<ClusterRole>({
        checksGenerateName: true,
        validateName: pathSegmentNameErrors,
        validateCreate: validateClusterRoleCreate,
        validateUpdate: validateClusterRoleUpdate,
        createOnUpdate: true,
      }),
      guard: (role, stored, request) => checkRoleEscalation(deps, clusterRoleKind, role, stored, request),
    },
    {
      ...shared,
      kind: clusterRoleBindingKind,
      columns: bindingColumns("cluster role binding"),
      strategy: createPlainStrategy<ClusterRoleBinding>({
        checksGenerateName: true,
        validateName: pathSegmentNameErrors,
        applyDefaults: defaultBinding,
        validateCreate: validateClusterRoleBindingCreate,
        validateUpdate: validateClusterRoleBindingUpdate,
        createOnUpdate: true,
      }),
      guard: (binding, stored, { user }) => checkBindingEscalation(deps, clusterRoleBindingKind, binding, stored, user),
    },
    {
      ...shared,
      kind: roleKind,
      columns: [nameColumn, createdAtColumn],
      strategy: createPlainStrategy<Role>({
        checksGenerateName: true,
        validateName: pathSegmentNameErrors,
        validateCreate: validateRoleCreate,
        validateUpdate: validateRoleUpdate,
        createOnUpdate: true,
      }),
      guard: (role, stored, request) => checkRoleEscalation(deps, roleKind, role, stored, request),
    },
    {
      ...shared,
      kind: roleBindingKind,
      columns: bindingColumns("role binding"),
      strategy: createPlainStrategy<RoleBinding>({
        checksGenerateName: true,
        validateName: pathSegmentNameErrors,
        applyDefaults: defaultBinding,
        validateCreate: validateRoleBindingCreate,
        validateUpdate: validateRoleBindingUpdate,
        createOnUpdate: true,
      }),
      guard: (binding, stored, { user }) => checkBindingEscalation(deps, roleBindingKind, binding, stored, user),
    },
  ];
}

function bindingColumns(what: string): readonly Column<Binding>[] {
  const subjects = (name: string, kind: string): Column<Binding> => ({
    name,
    type: "string",
    format: "",
    priority: 1,
    description: `${name} that the ${what} names.`,
    cell: (binding) =>
      (binding.subjects ?? []).filter((subject) => subject.kind === kind)
        .map((subject) => kind === "ServiceAccount" ? `${subject.namespace ?? ""}/${subject.name}` : subject.name)
        .join(", "),
  });
  return [
    nameColumn,
    {
      name: "Role",
      type: "string",
      format: "",
      priority: 0,
      description: `The role that the ${what} grants.`,
      cell: ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`,
    },
    ageColumn,
    subjects("Users", "User"),
    subjects("Groups", "Group"),
    subjects("ServiceAccounts", "ServiceAccount"),
  ];
}
