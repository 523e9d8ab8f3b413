/** `deno task bench`: measures the lines of the table. */
import type { Bench } from "./bench.ts";
import { createScenarios, isWanted } from "./lines/mod.ts";
import { measure } from "./measure.ts";
import { createLineReport, formatRounds, type LineReport, LINES_HEAD, toRow } from "./report.ts";
import type { Section } from "./section.ts";

export async function runTable(bench: Bench): Promise<Section> {
  const { options: { words, rounds, scale }, node, progress, machine } = bench;
  const chosen = createScenarios(node, scale).filter((scenario) => isWanted(scenario, words));
  if (chosen.length === 0) throw new Error(`no line of the table contains "${words.join(" ")}"`);
  const program = await bench.program();
  const lines: LineReport[] = [];
  for (const scenario of chosen) {
    const [first] = Object.values(scenario.lines);
    const measured = await measure(scenario, program, rounds, (text) => progress(`${first?.what}, ${text}`));
    lines.push(...measured.map(createLineReport));
  }
  return {
    command: "table",
    title: "tlsboot and a control plane",
    machine: machine(),
    settings:
      `${formatRounds(rounds)} All rounds are in brackets. CPU and memory are of all servers, with etcd where ` +
      `there is one.${scale === 1 ? "" : ` At ${scale} of the counts, so the aims do not apply.`}`,
    head: LINES_HEAD,
    rows: lines.map(toRow),
    pictures: [],
    data: lines,
  };
}
