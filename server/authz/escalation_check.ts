/**
 * The escalation check for writes of roles and bindings (`pkg/registry/rbac`, the `policybased/storage.go` of each
 * resource): users can grant only permissions that they have, unless they may `escalate` or `bind` the role.
 */
import { clusterRoleKind, roleKind } from "../../core/kube/kinds/mod.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding } from "../../core/kube/kinds/rbac_v1.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { forbidden, genericServerError, notFound } from "../../core/kube/status/status.ts";
import { MASTERS_GROUP, type UserInfo } from "../../core/kube/user.ts";
import { lookup } from "../../core/lib/record.ts";
import { findUncoveredRules, formatEscalationMessage } from "../../core/rbac/escalation.ts";
import { describeMissingRoles, findRoleRules, resolveRules } from "../../core/rbac/evaluate.ts";
import type { Authorizer, RbacSource } from "./authorizer.ts";

export interface EscalationDeps {
  readonly authorizer: Pick<Authorizer, "authorize">;
  readonly rbac: Pick<RbacSource, "objects">;
}

/** The kinds that a roleRef may refer to. */
const ROLE_RESOURCES: Readonly<Record<string, Kind | undefined>> = { ClusterRole: clusterRoleKind, Role: roleKind };

/** An aggregation rule can select any role by its labels, so it requires every permission. */
const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/**
 * Checks a Role or ClusterRole before it is stored. Throws StatusError 403.
 *
 * @param request the user, and the name in the URL
 */
export async function checkRoleEscalation(
  deps: EscalationDeps,
  kind: Kind,
  role: Role | ClusterRole,
  stored: Role | ClusterRole | undefined,
  { user, name }: { readonly user: UserInfo; readonly name: string },
): Promise<void> {
  if (user.groups.includes(MASTERS_GROUP)) return;
  const namespace = role.metadata.namespace ?? "";
  // The URL of a POST has no name, so `escalate` limited to a name allows only updates and creation by PUT.
  if (await isAllowed(deps, user, "escalate", kind.plural, name, namespace)) return;
  if (stored !== undefined && isOwnershipOnly(role, stored)) return;
  const message = findEscalation(deps, kind, user, namespace, role.rules ?? []);
  if (message !== undefined) throw forbidden(kind, getName(role), message);
  const isAggregating = hasSelectors(role) || (stored !== undefined && hasSelectors(stored));
  if (isAggregating && findEscalation(deps, kind, user, namespace, EVERYTHING) !== undefined) {
    throw forbidden(kind, getName(role), "must have cluster-admin privileges to use the aggregationRule");
  }
}

/** Checks a binding before it is stored. Throws StatusError 403, 404 for a missing role, or 500. */
export async function checkBindingEscalation(
  deps: EscalationDeps,
  kind: Kind,
  binding: RoleBinding | ClusterRoleBinding,
  stored: RoleBinding | ClusterRoleBinding | undefined,
  user: UserInfo,
): Promise<void> {
  if (user.groups.includes(MASTERS_GROUP)) return;
  if (stored !== undefined && isOwnershipOnly(binding, stored)) return;
  const namespace = binding.metadata.namespace ?? "";
  const { roleRef } = binding;
  const roleResource = lookup(ROLE_RESOURCES, roleRef.kind);
  if (roleResource === undefined) throw genericServerError(describeMissingRoles([roleRef]));
  if (await isAllowed(deps, user, "bind", roleResource.plural, roleRef.name, namespace)) return;
  const rules = findRoleRules(roleRef, namespace, deps.rbac.objects());
  // The message names the resource of the request, not the role: kube-apiserver reads the role in the request's
  // context.
  if (rules === undefined) throw notFound(kind, roleRef.name);
  const message = findEscalation(deps, kind, user, namespace, rules);
  if (message !== undefined) throw forbidden(kind, getName(binding), message);
}

async function isAllowed(
  deps: EscalationDeps,
  user: UserInfo,
  verb: "escalate" | "bind",
  resource: string,
  name: string,
  namespace: string,
): Promise<boolean> {
  const decision = await deps.authorizer.authorize(user, {
    kind: "resource",
    verb,
    apiGroup: clusterRoleKind.group,
    apiVersion: "*",
    resource,
    subresource: "",
    name,
    namespace,
  });
  return decision.kind === "allow";
}

/** Explains why a user may not grant rules; undefined when the user has all of them. */
function findEscalation(
  deps: EscalationDeps,
  kind: Kind,
  user: UserInfo,
  namespace: string,
  wanted: readonly PolicyRule[],
): string | undefined {
  const held = resolveRules(user, namespace, deps.rbac.objects());
  const missing = findUncoveredRules(held.rules, wanted);
  if (missing.length === 0) return undefined;
  return formatEscalationMessage(
    user,
    missing,
    held.missing.length === 0 ? [] : [describeMissingRoles(held.missing, kind.plural)],
  );
}

function hasSelectors(role: Role | ClusterRole): boolean {
  return "aggregationRule" in role && (role.aggregationRule?.clusterRoleSelectors ?? []).length > 0;
}

/**
 * Reports whether the objects differ only in owners and finalizers, which a garbage collector changes
 * (`pkg/registry/rbac/helpers.go`).
 */
export function isOwnershipOnly(object: KubeObject, stored: KubeObject): boolean {
  return toComparableText(object) === toComparableText(stored);
}

function toComparableText(object: KubeObject): string {
  const { ownerReferences: _owners, finalizers: _finalizers, managedFields: _fields, selfLink: _link, ...metadata } =
    object.metadata;
  return JSON.stringify({ ...object, metadata });
}
