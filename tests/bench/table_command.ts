/** `deno task bench`: every line of the design's table; and `deno task bench etcd`: those that go with etcd. */
import { createEtcdScenarios, createScenarios, isWanted } from "./lines/mod.ts";
import { measure } from "./measure.ts";
import {
  createLineReport,
  ETCD_LINES_HEAD,
  formatCount,
  type LineReport,
  LINES_HEAD,
  toEtcdRow,
  toRow,
} from "./report.ts";
import type { Bench } from "./bench.ts";
import type { Scenario } from "./scenario.ts";
import type { Section } from "./section.ts";

/** Measures the table, each side as it ships. */
export async function runTable(bench: Bench): Promise<Section> {
  const lines = await measureLines(bench, createScenarios(bench.node, bench.options.scale));
  return {
    command: "table",
    title: "Beside a control plane",
    machine: bench.machine(),
    settings: formatSettings(bench),
    head: LINES_HEAD,
    rows: lines.map(toRow),
    pictures: [],
    data: lines,
  };
}

/** Measures its lines with etcd below both sides. */
export async function runEtcd(bench: Bench): Promise<Section> {
  const lines = await measureLines(bench, createEtcdScenarios(bench.options.scale));
  return {
    command: "etcd",
    title: "Beside a control plane, both on etcd",
    machine: bench.machine(),
    settings: "An etcd of one member below each side; of the peer as many kube-apiservers, each with its " +
      "kube-controller-manager. CPU and memory are of all servers and of etcd, and beside it of etcd alone. " +
      formatSettings(bench),
    head: ETCD_LINES_HEAD,
    rows: lines.map(toEtcdRow),
    pictures: [],
    data: lines,
  };
}

async function measureLines(bench: Bench, scenarios: readonly Scenario[]): Promise<readonly LineReport[]> {
  const { options: { words, rounds }, progress } = bench;
  const chosen = scenarios.filter((scenario) => isWanted(scenario, words));
  if (chosen.length === 0) throw new Error(`no line of the table has "${words.join(" ")}" in it`);
  const program = await bench.program();
  const lines: LineReport[] = [];
  for (const scenario of chosen) {
    const [first] = Object.values(scenario.lines);
    const measured = await measure(scenario, {
      rounds,
      program,
      progress: (text) => progress(`${first?.what}, ${text}`),
    });
    lines.push(...measured.map(createLineReport));
  }
  return lines;
}

function formatSettings({ options: { rounds, scale } }: Bench): string {
  return `Medians of ${formatCount(rounds, "round")}, the fastest and the slowest in brackets` +
    (scale === 1 ? "." : `, at ${scale} of the counts: the aims mean nothing.`);
}
