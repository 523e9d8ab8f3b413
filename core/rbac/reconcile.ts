/**
 * Plans the maintenance of roles: the reconciliation of default roles and bindings at start-up, which adds missing
 * parts and removes nothing (component-helpers `auth/rbac/reconciliation`), and the rules of aggregated ClusterRoles
 * (`pkg/controller/clusterroleaggregation`).
 */
import { sortMembers } from "../lib/go_text.ts";
import { omitUndefined } from "../lib/record.ts";
import { isSameRole } from "../kube/rules/rbac.ts";
import { getName, type LabelSelector, type ObjectMeta } from "../kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from "../kube/kinds/rbac_v1.ts";
import { AUTOUPDATE_ANNOTATION } from "./default_roles.ts";
import { findUncoveredRules } from "./escalation.ts";
import { matchesLabels, selectorFromLabelSelector } from "../kube/selectors.ts";

/** The change to one default object. */
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
  // In Go's JSON, the subjects precede the roleRef.
  return { kind: "update", object: reorder(updated) };
}

function reorder<T extends RbacObject>(object: T): T {
  const order = ["metadata", "subjects", "roleRef", "rules", "aggregationRule"];
  const rank = (key: string) => order.indexOf(key);
  // The cast is safe, because only the order of the keys differs.
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

/**
 * Collects the rules of an aggregated role from every other role that a selector matches, selector by selector, in the order
 * of role names, without duplicates. A role without an aggregation rule keeps its own rules.
 */
export function aggregateRules(role: ClusterRole, allClusterRoles: readonly ClusterRole[]): readonly PolicyRule[] {
  if (role.aggregationRule === undefined) return role.rules ?? [];
  const others = allClusterRoles.filter((other) => getName(other) !== getName(role))
    .sort((a, b) => (getName(a) < getName(b) ? -1 : 1));
  const rules = new Map<string, PolicyRule>();
  for (const selector of role.aggregationRule.clusterRoleSelectors ?? []) {
    const requirements = selectorFromLabelSelector(selector);
    for (const other of others) {
      if (!requirements.ok || !matchesLabels(requirements.value, other.metadata.labels)) continue;
      for (const rule of other.rules ?? []) {
        const key = ruleKey(rule);
        if (!rules.has(key)) rules.set(key, rule);
      }
    }
  }
  return [...rules.values()];
}

/**
 * Returns the aggregated roles whose rules are out of date, with the right rules. Roles may aggregate aggregated roles
 * (`admin` contains `edit`, which contains `view`), so it repeats until nothing changes.
 */
export function planAggregation(clusterRoles: readonly ClusterRole[]): readonly ClusterRole[] {
  let current = clusterRoles;
  // Each round completes one more layer. It also ends for cycles, because rules are only added.
  for (let round = 0; round <= clusterRoles.length; round++) {
    const next = current.map((role) => withAggregatedRules(role, current));
    if (next.every((role, index) => role === current[index])) break;
    current = next;
  }
  return current.filter((role, index) => role !== clusterRoles[index]);
}

function withAggregatedRules(role: ClusterRole, all: readonly ClusterRole[]): ClusterRole {
  if (role.aggregationRule === undefined) return role;
  const rules = aggregateRules(role, all);
  return haveSameRules(rules, role.rules ?? []) ? role : { ...role, rules };
}

function haveSameRules(a: readonly PolicyRule[], b: readonly PolicyRule[]): boolean {
  return a.length === b.length && a.every((rule, index) => ruleKey(rule) === ruleKey(b[index]!));
}

/** The key of a rule, in which absent and empty lists are equal. */
function ruleKey(rule: PolicyRule): string {
  return JSON.stringify([
    rule.verbs ?? [],
    rule.apiGroups ?? [],
    rule.resources ?? [],
    rule.resourceNames ?? [],
    rule.nonResourceURLs ?? [],
  ]);
}
