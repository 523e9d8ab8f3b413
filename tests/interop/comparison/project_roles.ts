/**
 * The answer of a SelfSubjectRulesReview lists rules binding by binding, and kube-apiserver goes through bindings in no
 * particular order: the same rules in another order are the same answer.
 */
import { isRecord } from "../../../core/lib/record.ts";

/** The body of a SelfSubjectRulesReview with its rules in one order; any other body as it is. */
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
