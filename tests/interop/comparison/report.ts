/** The report of a comparison: every difference, then how many exchanges were identical. */
import { formatDifferences } from "./compare.ts";
import type { Replayed, Verdict } from "./replay.ts";

/** Formats a report, whose last line begins with `identical N of M`. */
export function formatReport({ verdicts, unused }: Replayed): string {
  const lines: string[] = [];
  for (const verdict of verdicts) if (verdict.unintended.length > 0) lines.push(...formatVerdict(verdict), "");
  for (const { exchange, path } of unused) lines.push(`unused entry in differences.yaml: ${exchange}: ${path}`);
  const intended =
    verdicts.filter(({ differences, unintended }) => differences.length > 0 && unintended.length === 0).length;
  const countsByFile = new Map<string, { identical: number; all: number }>();
  for (const { file, differences } of verdicts) {
    const counts = countsByFile.get(file) ?? { identical: 0, all: 0 };
    counts.all++;
    if (differences.length === 0) counts.identical++;
    countsByFile.set(file, counts);
  }
  for (const [file, { identical, all }] of countsByFile) {
    lines.push(`${identical === all ? " " : "!"} ${file}: ${identical} of ${all}`);
  }
  lines.push(
    `identical ${countIdentical(verdicts)} of ${verdicts.length}${
      intended === 0 ? "" : `, ${intended} differ as intended`
    }`,
  );
  return `${lines.join("\n")}\n`;
}

/** Counts the exchanges with identical answers; those with intended differences do not count. */
export function countIdentical(verdicts: readonly Verdict[]): number {
  return verdicts.filter(({ differences }) => differences.length === 0).length;
}

function formatVerdict({ exchange, status, unintended }: Verdict): readonly string[] {
  return [exchange.id, `  ${exchange.send} as ${exchange.as} (${status})`, ...formatDifferences(unintended)];
}
