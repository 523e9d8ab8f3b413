/** Texts about the decisions of rules: what each rule found, the reason for its decision, and how to fix a problem. */
import type { PolicyVerdict, RuleTrace } from "../../../core/approval/evaluate_policies.ts";
import { line } from "../../output/escape.ts";

const OUTCOMES: Readonly<Record<RuleTrace["outcome"], string>> = {
  approve: "approves",
  deny: "denies",
  pending: "leaves it pending",
  next: "passes it on",
  unknown: "cannot decide now, it is tried again",
};
const MARKS = { holds: "ok", fails: "no", unknown: "?" } as const;

/** Formats lines with tabs between columns, grouped by policy. A brief trace omits the checks that hold. */
export function formatTrace(
  trace: readonly RuleTrace[],
  { isBrief = false }: { readonly isBrief?: boolean } = {},
): readonly string[] {
  return trace.flatMap((rule, index) => {
    const checks = isBrief ? rule.checks.filter(({ outcome }) => outcome !== "holds") : rule.checks;
    return [
      ...(trace[index - 1]?.policy === rule.policy ? [] : [`Policy "${rule.policy}":`]),
      ...ruleLines({ ...rule, checks }),
    ];
  });
}

/** Formats a verdict with its message. */
export function formatVerdict(verdict: PolicyVerdict): string {
  switch (verdict.kind) {
    case "approve":
      return `approved: ${verdict.message}`;
    case "deny":
      return `denied: ${verdict.message}`;
    case "pending":
      return `left pending: ${verdict.message}`;
    case "unknown":
      return `undecided, it is tried again: ${verdict.message}`;
  }
}

function ruleLines({ rule, notAbout, checks, outcome }: RuleTrace): readonly string[] {
  if (notAbout !== undefined) return [`  rule ${rule}: not about it: ${notAbout}`];
  return [
    `  rule ${rule}: ${OUTCOMES[outcome]}`,
    ...checks.flatMap(({ what, saw, outcome: found, fault, fix }) => [
      line`    ${MARKS[found]}\t${what}\t${saw}`,
      ...(found === "holds" || fault === undefined ? [] : [line`    \twhy\t${fault}`]),
      ...(found === "holds" || fix === undefined ? [] : [line`    \tfix\t${fix}`]),
    ]),
  ];
}
