/**
 * Plans the reconciliation of default roles and bindings at start-up, which adds missing parts and removes nothing
 * (component-helpers `auth/rbac/reconciliation`).
 */
import { sortMembers } from "../lib/byte_order.ts";
import { omitUndefined } from "../lib/record.ts";
import { isSameRole } from "../kube/rules/rbac.ts";
import type { LabelSelector, ObjectMeta } from "../kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding, Subject } from "../kube/kinds/rbac_v1.ts";
import { AUTOUPDATE_ANNOTATION } from "./default_roles.ts";
import { findUncoveredRules } from "./escalation.ts";

/** The action of the reconciliation on one default object. */
export type ReconcilePlan<T> =
  | { readonly kind: "none" }
  | { readonly kind: "create"; readonly object: T }
  /** Update the existing object with additions; its resourceVersion guards the write. */
  | { readonly kind: "update"; readonly object: T }
  /** Delete the existing object and create this one, because the roleRef differs and is immutable. */
  | { readonly kind: "recreate"; readonly object: T };

type RbacObject = ClusterRole | Role | ClusterRoleBinding | RoleBinding;

/**
 * Plans one default object. An existing object whose autoupdate annotation is `"false"` is not changed, and neither are
 * the rules of an aggregated role, which the aggregation computes.
 */
export function planReconcile<T extends RbacObject>(existing: T | undefined, wanted: T): ReconcilePlan<T> {
  if (existing === undefined) return { kind: "create", object: wanted };
  if (existing.metadata.annotations?.[AUTOUPDATE_ANNOTATION] === "false") return { kind: "none" };
  if (isBinding(existing) && isBinding(wanted) && !isSameRole(existing.roleRef, wanted.roleRef)) {
    return { kind: "recreate", object: wanted };
  }
  const metadata = mergeMetadata(existing.metadata, wanted.metadata);
  const content = isBinding(existing) && isBinding(wanted)
    ? missingSubjects(existing, wanted)
    : !isBinding(existing) && !isBinding(wanted)
    ? missingRules(existing, wanted)
    : {};
  if (metadata === existing.metadata && Object.keys(content).length === 0) return { kind: "none" };
  const updated = { ...existing, metadata, ...content };
  // Go's JSON has subjects before the roleRef.
  return { kind: "update", object: reorder(updated) };
}

function reorder<T extends RbacObject>(object: T): T {
  const order = ["metadata", "subjects", "roleRef", "rules", "aggregationRule"];
  const rank = (key: string) => order.indexOf(key);
  // The cast is safe: the result has the same keys and values in another order.
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => rank(a) - rank(b))) as T;
}

function isBinding(object: RbacObject): object is ClusterRoleBinding | RoleBinding {
  return "roleRef" in object;
}

function missingSubjects(
  existing: ClusterRoleBinding | RoleBinding,
  wanted: ClusterRoleBinding | RoleBinding,
): { readonly subjects?: readonly Subject[] } {
  const present = existing.subjects ?? [];
  const missing = (wanted.subjects ?? []).filter((subject) => !present.some((other) => isSameSubject(subject, other)));
  return missing.length === 0 ? {} : { subjects: [...present, ...missing] };
}

function isSameSubject(a: Subject, b: Subject): boolean {
  return a.kind === b.kind && a.name === b.name && (a.apiGroup ?? "") === (b.apiGroup ?? "") &&
    (a.namespace ?? "") === (b.namespace ?? "");
}

function missingRules(existing: ClusterRole | Role, wanted: ClusterRole | Role): Partial<ClusterRole> {
  const wantedSelectors = getSelectors(wanted);
  if (wantedSelectors.length > 0) {
    const present = getSelectors(existing);
    const missing = wantedSelectors.filter((selector) => !present.some((other) => isSameSelector(selector, other)));
    if (missing.length === 0) return {};
    return { aggregationRule: { clusterRoleSelectors: [...present, ...missing] } };
  }
  const missing = findUncoveredRules(existing.rules ?? [], wanted.rules ?? []);
  return missing.length === 0 ? {} : { rules: [...existing.rules ?? [], ...missing] };
}

function getSelectors(role: ClusterRole | Role): readonly LabelSelector[] {
  return "aggregationRule" in role ? role.aggregationRule?.clusterRoleSelectors ?? [] : [];
}

function isSameSelector(a: LabelSelector, b: LabelSelector): boolean {
  return JSON.stringify([sortMembers(a.matchLabels ?? {}), a.matchExpressions ?? []]) ===
    JSON.stringify([sortMembers(b.matchLabels ?? {}), b.matchExpressions ?? []]);
}

/** Adds missing labels and annotations and keeps existing ones. Returns the same object when nothing is missing. */
function mergeMetadata(existing: ObjectMeta, wanted: ObjectMeta): ObjectMeta {
  const labels = sortMembers({ ...wanted.labels, ...existing.labels });
  const annotations = sortMembers({ ...wanted.annotations, ...existing.annotations });
  const isComplete = Object.keys(labels).length === Object.keys(existing.labels ?? {}).length &&
    Object.keys(annotations).length === Object.keys(existing.annotations ?? {}).length;
  if (isComplete) return existing;
  // Labels and annotations come before ownerReferences in canonical order.
  const { labels: _labels, annotations: _annotations, ownerReferences, finalizers, managedFields, ...head } = existing;
  return {
    ...head,
    labels,
    annotations,
    ...omitUndefined({ ownerReferences, finalizers, managedFields }),
  };
}
