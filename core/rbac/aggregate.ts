/** The rules of aggregated ClusterRoles (`pkg/controller/clusterroleaggregation`). */
import { getName } from "../kube/meta.ts";
import type { ClusterRole, PolicyRule } from "../kube/kinds/rbac_v1.ts";
import { matchesLabels, selectorFromLabelSelector } from "../kube/selectors.ts";

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
 * Finds the aggregated roles whose rules are out of date, and returns them with the right rules. Roles may aggregate
 * aggregated roles (`admin` contains `edit`, which contains `view`), so it repeats until nothing changes.
 */
export function planAggregation(clusterRoles: readonly ClusterRole[]): readonly ClusterRole[] {
  let current = clusterRoles;
  // Each round completes one more layer. In a cycle the rules only grow, so that terminates too.
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
