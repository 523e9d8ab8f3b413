/** Texts about the decisions of rules: what each rule found, the reason for its decision, and how to fix a problem. */
import type { RuleView } from "../../core/report/request_view.ts";
import { line } from "../../core/lib/printable.ts";

const MARKS = { holds: "ok", fails: "no", unknown: "?" } as const;

/** Formats lines with tabs between columns, grouped by policy. A brief text omits the checks that hold. */
export function formatTrace(
  rules: readonly RuleView[],
  { isBrief = false }: { readonly isBrief?: boolean } = {},
): readonly string[] {
  return rules.flatMap((rule, index) => {
    const checks = isBrief ? rule.checks.filter(({ outcome }) => outcome !== "holds") : rule.checks;
    return [
      ...(rules[index - 1]?.policy === rule.policy ? [] : [`Policy "${rule.policy}":`]),
      ...ruleLines({ ...rule, checks }),
    ];
  });
}

function ruleLines({ rule, text, checks }: RuleView): readonly string[] {
  return [
    line`  rule ${rule}: ${text}`,
    ...checks.flatMap(({ what, saw, outcome: found, fault, fix }) => [
      line`    ${MARKS[found]}\t${what}\t${saw}`,
      ...(found === "holds" || fault === undefined ? [] : [line`    \twhy\t${fault}`]),
      ...(found === "holds" || fix === undefined ? [] : [line`    \tfix\t${fix}`]),
    ]),
  ];
}
