/** `deno task bench`: every line of the design's table. */
import { isWanted, scenariosOf } from "./lines/mod.ts";
import { measure } from "./measure.ts";
import { countOf, type LineReport, LINES_HEAD, reportOf, rowOf } from "./report.ts";
import type { Bench } from "./bench.ts";
import type { Section } from "./section.ts";

/** Measures it. */
export async function runTable(bench: Bench): Promise<Section> {
  const { options, node, progress, machine } = bench;
  const { words, scale, rounds } = options;
  const chosen = scenariosOf({ node, client: bench.file, scale }).filter((scenario) => isWanted(scenario, words));
  if (chosen.length === 0) throw new Error(`no line of the table has "${words.join(" ")}" in it`);
  const programs = await bench.programs();
  const lines: LineReport[] = [];
  for (const scenario of chosen) {
    const [first] = Object.values(scenario.lines);
    const measured = await measure(scenario, {
      rounds,
      programs,
      progress: (text) => progress(`${first?.what}, ${text}`),
    });
    lines.push(...measured.map(reportOf));
  }
  return {
    command: "table",
    title: "Beside a control plane",
    machine: machine(),
    settings: `Medians of ${countOf(rounds, "round")}, the fastest and the slowest in brackets` +
      (scale === 1 ? "." : `, at ${scale} of the counts: the aims mean nothing.`),
    head: LINES_HEAD,
    rows: lines.map(rowOf),
    pictures: [],
    data: lines,
  };
}
