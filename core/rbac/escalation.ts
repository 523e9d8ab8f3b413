/**
 * Nobody may grant what they do not hold: which of the wanted rules a set of rules does not cover
 * (component-helpers `auth/rbac/validation/policy_comparator.go`, `pkg/registry/rbac/validation/rule.go`).
 */
import { quoteText } from "../kube/quote.ts";
import type { PolicyRule } from "../kube/rbac_v1.ts";
import type { UserInfo } from "../kube/user.ts";
import { matchesPath } from "./rules.ts";

/** A rule of more parts than this is not taken apart: a body of 3 MB could name 10^15 of them. */
const MAX_PARTS = 100_000;

/**
 * The wanted rules that no held rule covers, broken down to one verb, group, resource and name each. A rule of more than
 * 100,000 parts must be covered by one held rule as a whole.
 */
export function findUncoveredRules(
  held: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): readonly PolicyRule[] {
  return wanted.flatMap((rule) => {
    if (held.some((candidate) => covers(candidate, rule))) return [];
    if (countParts(rule) > MAX_PARTS) return [rule];
    return breakDown(rule).filter((part) => !held.some((candidate) => covers(candidate, part)));
  });
}

function countParts({ apiGroups, resources, verbs, resourceNames, nonResourceURLs }: PolicyRule): number {
  const verbCount = verbs?.length ?? 0;
  const names = Math.max(1, resourceNames?.length ?? 0);
  return ((apiGroups?.length ?? 0) * (resources?.length ?? 0) * names + (nonResourceURLs?.length ?? 0)) * verbCount;
}

/** The 403 message (after `is forbidden: `) for rules that the user does not hold. */
export function escalationMessage(
  user: UserInfo,
  missing: readonly PolicyRule[],
  resolutionErrors: readonly string[] = [],
): string {
  const lines = [...new Set(compact(missing).map(describeRule))].sort();
  const errors = resolutionErrors.length === 0 ? "" : `; resolution errors: [${resolutionErrors.join(", ")}]`;
  return `user ${quoteText(user.username)} (groups=${
    quoteList(user.groups)
  }) is attempting to grant RBAC permissions ` +
    `not currently held:\n${lines.join("\n")}${errors}`;
}

/** A rule in one line, such as `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`. */
export function describeRule(rule: PolicyRule): string {
  const parts = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["ResourceNames", rule.resourceNames],
    ["Verbs", rule.verbs],
  ] as const;
  const shown = parts.flatMap(([label, values]) =>
    values === undefined || values === null || values.length === 0 ? [] : [`${label}:${quoteList(values)}`]
  );
  return `{${shown.join(", ")}}`;
}

function breakDown(rule: PolicyRule): readonly PolicyRule[] {
  const names = (rule.resourceNames ?? []).map((name) => ({ resourceNames: [name] }));
  const parts: PolicyRule[] = [];
  for (const group of rule.apiGroups ?? []) {
    for (const resource of rule.resources ?? []) {
      for (const verb of rule.verbs ?? []) {
        const part: PolicyRule = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (names.length === 0) parts.push(part);
        else parts.push(...names.map((name) => ({ ...part, ...name })));
      }
    }
  }
  for (const url of rule.nonResourceURLs ?? []) {
    for (const verb of rule.verbs ?? []) parts.push({ verbs: [verb], nonResourceURLs: [url] });
  }
  return parts;
}

/** Whether one rule covers another, whole or broken down. */
function covers(rule: PolicyRule, part: PolicyRule): boolean {
  return coversAll(rule.verbs ?? [], part.verbs ?? []) &&
    coversAll(rule.apiGroups ?? [], part.apiGroups ?? []) &&
    (part.resources ?? []).every((resource) => coversResource(rule.resources ?? [], resource)) &&
    (part.nonResourceURLs ?? []).every((url) => (rule.nonResourceURLs ?? []).some((held) => matchesPath(held, url))) &&
    coversNames(rule.resourceNames ?? [], part.resourceNames ?? []);
}

function coversAll(held: readonly string[], wanted: readonly string[]): boolean {
  return held.includes("*") || wanted.every((value) => held.includes(value));
}

function coversResource(held: readonly string[], wanted: string): boolean {
  if (held.includes("*") || held.includes(wanted)) return true;
  const slash = wanted.indexOf("/");
  return slash >= 0 && held.includes(`*${wanted.slice(slash)}`);
}

function coversNames(held: readonly string[], wanted: readonly string[]): boolean {
  if (held.length === 0) return true;
  return wanted.length > 0 && wanted.every((name) => held.includes(name));
}

/** Joins the verbs of broken-down rules that agree in everything else (`policy_compact.go`). */
function compact(rules: readonly PolicyRule[]): readonly PolicyRule[] {
  const merged = new Map<string, PolicyRule>();
  const others: PolicyRule[] = [];
  for (const rule of rules) {
    if (rule.nonResourceURLs !== undefined) {
      others.push(rule);
      continue;
    }
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames]);
    const known = merged.get(key);
    merged.set(key, known === undefined ? rule : { ...known, verbs: [...known.verbs ?? [], ...rule.verbs ?? []] });
  }
  return [...others, ...merged.values()];
}

/** Go's `%q` of a list. */
function quoteList(values: readonly string[]): string {
  return `[${values.map(quoteText).join(" ")}]`;
}
