/** What rules made of a request, for people: each rule, what it saw, why it decided, what would mend it. */
import type { PolicyVerdict, RuleTrace } from "../../core/approval/evaluate_policies.ts";
import { line } from "../output/escape.ts";

const OUTCOMES: Readonly<Record<RuleTrace["outcome"], string>> = {
  approve: "approves",
  deny: "denies",
  leave: "leaves it pending",
  next: "passes it on",
  unknown: "cannot tell now, it is asked again",
};
const MARKS = { holds: "ok", fails: "no", unknown: "?" } as const;

/** Lines with tabs between columns, grouped by policy. A brief trace leaves out the checks that hold. */
export function traceLines(
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

/** `approve` and so on as a sentence about the request. */
export function verdictText(verdict: PolicyVerdict): string {
  switch (verdict.kind) {
    case "approve":
      return `approved: ${verdict.message}`;
    case "deny":
      return `denied: ${verdict.message}`;
    case "leave":
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
