/** Decides whether one rule covers one request (`pkg/apis/rbac/v1/evaluation_helpers.go`). */
import type { PolicyRule } from "../kube/kinds/rbac_v1.ts";
import type { Attributes, ResourceAttributes } from "./attributes.ts";

export function rulesAllow(attributes: Attributes, rules: readonly PolicyRule[]): boolean {
  return rules.some((rule) => ruleAllows(attributes, rule));
}

/**
 * Reports whether a rule allows a request. `*` covers every verb, group, resource or path; `*` and a slash cover one
 * subresource of every resource; names are compared literally, so a rule with names never allows a request without one.
 */
export function ruleAllows(attributes: Attributes, rule: PolicyRule): boolean {
  if (!matches(rule.verbs, attributes.verb)) return false;
  if (attributes.kind === "path") return (rule.nonResourceURLs ?? []).some((url) => matchesPath(url, attributes.path));
  return matches(rule.apiGroups, attributes.apiGroup) && matchesResource(rule.resources, attributes) &&
    matchesName(rule.resourceNames, attributes.name);
}

/** Reports whether a path, or a pattern that ends in `*`, covers a path. */
export function matchesPath(pattern: string, path: string): boolean {
  if (pattern === path) return true;
  if (!pattern.endsWith("*")) return false;
  let end = pattern.length;
  while (end > 0 && pattern[end - 1] === "*") end--;
  return path.startsWith(pattern.slice(0, end));
}

function matches(allowed: readonly string[] | null | undefined, wanted: string): boolean {
  return allowed !== undefined && allowed !== null && (allowed.includes("*") || allowed.includes(wanted));
}

function matchesResource(allowed: readonly string[] | undefined, attributes: ResourceAttributes): boolean {
  const { resource, subresource } = attributes;
  if (subresource === "") return matches(allowed, resource);
  return matches(allowed, `${resource}/${subresource}`) || (allowed?.includes(`*/${subresource}`) ?? false);
}

function matchesName(allowed: readonly string[] | undefined, name: string): boolean {
  return allowed === undefined || allowed.length === 0 || allowed.includes(name);
}
