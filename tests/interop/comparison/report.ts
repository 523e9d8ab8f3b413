/** The report of a comparison: every difference, then how many exchanges were identical. */
import { formatDifferences } from "./compare.ts";
import type { Replayed, Verdict } from "./replay.ts";

/** Words of a report; ends with `identical N of M`. */
export function formatReport({ verdicts, unused }: Replayed): string {
  const lines: string[] = [];
  for (const verdict of verdicts) if (verdict.unmeant.length > 0) lines.push(...formatVerdict(verdict), "");
  for (const { exchange, path } of unused) lines.push(`unused entry in differences.yaml: ${exchange}: ${path}`);
  const meant = verdicts.filter(({ differences, unmeant }) => differences.length > 0 && unmeant.length === 0).length;
  const perFile = new Map<string, { identical: number; all: number }>();
  for (const { file, differences } of verdicts) {
    const counts = perFile.get(file) ?? { identical: 0, all: 0 };
    counts.all++;
    if (differences.length === 0) counts.identical++;
    perFile.set(file, counts);
  }
  for (const [file, { identical, all }] of perFile) {
    lines.push(`${identical === all ? " " : "!"} ${file}: ${identical} of ${all}`);
  }
  lines.push(
    `identical ${countIdentical(verdicts)} of ${verdicts.length}${meant === 0 ? "" : `, ${meant} differ as meant`}`,
  );
  return `${lines.join("\n")}\n`;
}

/** Counts the exchanges that were answered alike; those with listed differences do not count. */
export function countIdentical(verdicts: readonly Verdict[]): number {
  return verdicts.filter(({ differences }) => differences.length === 0).length;
}

function formatVerdict({ exchange, status, unmeant }: Verdict): readonly string[] {
  return [exchange.id, `  ${exchange.send} as ${exchange.as} (${status})`, ...formatDifferences(unmeant)];
}
