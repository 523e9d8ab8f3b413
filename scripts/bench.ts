/**
 * `deno task bench`: measures tlsboot beside a peer in the same run and prints the ratios. A slow number is a number; a
 * missing peer or a node without its certificate is a failure.
 *
 * Usage: bench.ts [--runs N] [words of the lines to measure]
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { createTempFolder } from "../tests/support/temp.ts";
import { compare, type Comparison, type Line } from "./bench/measure.ts";
import { comparisonsOf } from "./bench/comparisons.ts";
import { releasedFile, sourcesOn } from "./bench/program.ts";
import { formatMachine, formatTable } from "./bench/report.ts";
import { ensureNode } from "./node_runtime.ts";
import { ensurePeers, KUBERNETES } from "./peers.ts";

const RUNS = "3";

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { runs: { type: "string", default: RUNS } },
    allowPositionals: true,
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs must be a whole number from 1, not ${values.runs}`);
  await ensurePeers(process.cwd());
  const node = await ensureNode();
  await using folder = await createTempFolder();
  const subjects = { node, sources: sourcesOn(node), file: await releasedFile(folder.path), runs };
  const chosen = comparisonsOf(subjects).filter((comparison) => isWanted(comparison, positionals));
  if (chosen.length === 0) throw new Error(`no line of the table has "${positionals.join(" ")}" in it`);

  const lines: Line[] = [];
  for (const comparison of chosen) {
    process.stderr.write(`measuring ${comparison.what} beside ${comparison.peer}, ${comparison.runs} runs each\n`);
    lines.push(await compare(comparison));
  }
  process.stdout.write(`\n${formatTable(lines)}\n${formatMachine(node, `Kubernetes ${KUBERNETES}`)}`);
}

function isWanted({ what, peer }: Comparison, words: readonly string[]): boolean {
  return words.every((word) => `${what} ${peer}`.includes(word));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
