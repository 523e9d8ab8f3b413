/**
 * Runs one simulation on Node, for `deno task simulate`, and writes its account.
 * Usage: simulate_process.ts with the flags of `main.ts` beside it
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createHistoryWriter, HISTORY_FILE } from "../torture/history.ts";
import { readFlags } from "./flags.ts";
import { World } from "./world.ts";

const HOUR_MS = 3_600_000;

async function main(): Promise<number> {
  const { trace: tracePath, history: folder, ...flags } = readFlags(process.argv.slice(2));
  const { seed, hours, nodes, servers, clients } = flags;
  const begun = process.cpuUsage();
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const title = `simulate: seed ${seed}, ${servers} servers`;
  using history = folder === undefined ? undefined : createHistoryWriter(join(folder, HISTORY_FILE), { title });
  const world = new World({ ...flags, tracePath, history });
  await world.start();
  await world.pass(hours * HOUR_MS);
  const faults = [...world.faults, ...world.findNodeFaults()];
  const { user, system } = process.cpuUsage(begun);
  const seconds = (user + system) / 1e6;
  const nodeDays = nodes * hours / 24;
  const { scheduler: { steps, trace }, certificates } = world;
  process.stdout.write(
    [
      `simulate: seed ${seed}`,
      `${servers} servers, ${nodes} nodes and ${clients} clients for ${(hours / 24).toFixed(1)} days`,
      `${steps} events`,
      `${certificates} certificates`,
      `${nodeDays.toFixed(1)} node-days in ${seconds.toFixed(1)} s of one core, ` +
      `${Math.round(60 * nodeDays / seconds)} a minute`,
      `trace of ${trace.lines} lines with SHA-256 ${trace.end()}`,
      faults.length === 0 ? "nothing broken" : `${faults.length} broken promises`,
    ].join("; ") + "\n",
  );
  for (const fault of faults) process.stdout.write(`  ${fault}\n`);
  return faults.length === 0 ? 0 : 1;
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`simulate: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
