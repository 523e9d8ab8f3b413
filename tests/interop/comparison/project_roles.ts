/**
 * Sorts the rules in a SelfSubjectRulesReview. They are listed binding by binding, and kube-apiserver iterates over
 * bindings in random order.
 */
import { isRecord } from "../../../core/lib/record.ts";

/** Sorts the rules of a SelfSubjectRulesReview; any other body is returned unchanged. */
export function projectRules(body: unknown): unknown {
  if (!isRecord(body) || !isRecord(body["status"])) return body;
  const status = body["status"];
  const sorted = ["resourceRules", "nonResourceRules"].flatMap((key) => {
    const rules = status[key];
    return Array.isArray(rules) ? [[key, sortByText(rules)] as const] : [];
  });
  return { ...body, status: { ...status, ...Object.fromEntries(sorted) } };
}

function sortByText(values: readonly unknown[]): readonly unknown[] {
  return values.map((value) => [JSON.stringify(value), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, value]) => value);
}
