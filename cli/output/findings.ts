/** Formats the findings of `tlsboot doctor` and `tlsboot policy check` as a table or JSON, and the trace of policies. */
import { countFindings, type Finding } from "../../core/report/health/finding.ts";
import { nameFlags } from "../framework/flags.ts";
import { line } from "../../core/lib/printable.ts";
import { formatJson } from "./structured.ts";
import { alignTabs, DESCRIBE_TABS } from "./layout.ts";
import type { RuleView } from "../../core/report/request_view.ts";

/** Formats the findings as a table with a section for each target. A fix has its own line, so that it can be copied. */
export function formatFindingTable(findings: readonly Finding[]): string {
  const parts = [...Map.groupBy(findings, ({ target }) => target)].map(([target, group]) => {
    const rows = group.map(({ severity, check, message, fix, advice }) => ({
      row: line`  ${severity}\t${check}\t${nameFlags(message)}`,
      fix: fix !== undefined
        ? [line`           fix: ${fix}`]
        : advice !== undefined
        ? [line`           next: ${nameFlags(advice)}`]
        : [],
    }));
    const aligned = alignTabs(rows.map(({ row }) => row).join("\n"), DESCRIBE_TABS).split("\n");
    return [line`${target}`, ...rows.flatMap(({ fix }, index) => [aligned[index] ?? "", ...fix])].join("\n");
  });
  return `${parts.join("\n\n")}\n\n${summarize(findings)}\n`;
}

/** Formats the findings as JSON. Keys may be added, but never removed or changed. */
export function formatFindingJson(findings: readonly Finding[]): string {
  const { ok, warning, error, skipped } = countFindings(findings);
  return nameFlags(formatJson({ findings, summary: { ok, warnings: warning, errors: error, skipped } }));
}

function summarize(findings: readonly Finding[]): string {
  const { ok, warning, error, skipped } = countFindings(findings);
  const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? "" : "s"}`;
  return `${count(error, "error")}, ${count(warning, "warning")}, ${ok} ok` +
    (skipped === 0 ? "" : `, ${skipped} skipped`);
}

const MARKS = { holds: "ok", fails: "no", unknown: "?" } as const;

/** Formats the rules as lines with tabs between columns, grouped by policy. `isBrief` omits the checks that hold. */
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
