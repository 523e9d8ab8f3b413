/**
 * Runs one simulation on Node for `deno task simulate`, and prints its report.
 * Usage: simulate_process.ts with the flags of `main.ts`
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { runMain } from "../support/command_line.ts";
import { createHistoryWriter, HISTORY_FILE, KEPT_MS } from "../torture/history.ts";
import type { RevocationCounts } from "../torture/revoker.ts";
import { plantSources } from "../torture/planted_sources.ts";
import { readFlags } from "./flags.ts";
import type { FaultStep } from "./fault_plan.ts";
import { endFaults, scheduleFaults } from "./faults.ts";
import { describeScenario, QUIET_MS, readScenario } from "./scenario.ts";

const HOUR_MS = 3_600_000;

async function main(): Promise<number> {
  const flags = readFlags(process.argv.slice(2));
  const { trace: tracePath, history: folder } = flags;
  const scenario = readScenario(flags);
  const { seed, hours, nodes, servers, clients, revokers, faults: plan } = scenario;
  if (flags.plant !== undefined) plantSources(flags.plant);
  // Load the world only now, so that planted bugs apply to what it imports.
  const { World } = await import("./world.ts");
  const used = process.cpuUsage();
  if (folder !== undefined) {
    mkdirSync(folder, { recursive: true });
    // Remove the history of an earlier run.
    rmSync(join(folder, HISTORY_FILE), { force: true });
  }
  const title = `simulate: seed ${seed}, ${servers} servers`;
  const areClocksSet = plan.some(({ kind }) => kind === "clock");
  // Setting a clock forward ages history, and a compaction removes it early.
  const isKept = !areClocksSet && plan.every(({ kind }) => kind !== "etcdCompact");
  using history = folder === undefined
    ? undefined
    : createHistoryWriter(join(folder, HISTORY_FILE), { title, ...(isKept ? { keptMs: KEPT_MS } : {}) });
  const world = new World({ ...scenario, areClocksSet, tracePath, history });
  await world.start();
  const isBroken = (): boolean => world.faults.length > 0;
  let begun: ReadonlyMap<FaultStep, number> = new Map();
  if (plan.length > 0) {
    const faultyMs = hours * HOUR_MS - QUIET_MS;
    begun = scheduleFaults(world, plan, world.scheduler.nowMs + faultyMs);
    await world.pass(faultyMs, isBroken);
    endFaults(world);
  }
  await world.pass(plan.length === 0 ? hours * HOUR_MS : QUIET_MS, isBroken);
  if (!isBroken()) await world.checkEnd();
  const { faults } = world;
  const { user, system } = process.cpuUsage(used);
  const seconds = (user + system) / 1e6;
  const nodeDays = nodes * hours / 24;
  const { scheduler: { steps, trace }, certificates } = world;
  process.stdout.write(
    [
      `simulate: seed ${seed}`,
      `${servers} servers, ${nodes} nodes and ${clients} clients for ${(hours / 24).toFixed(1)} days`,
      ...(plan.length === 0 ? [] : [`${begun.size} of ${plan.length} faults`]),
      `${steps} events`,
      `${certificates} certificates`,
      ...(revokers === 0 ? [] : [formatRevocations(world.countRevocations())]),
      `${nodeDays.toFixed(1)} node-days in ${seconds.toFixed(1)} s of one core, ` +
      `${Math.round(60 * nodeDays / seconds)} a minute`,
      `trace of ${trace.lines} lines with SHA-256 ${trace.end()}`,
      faults.length === 0 ? "nothing broken" : `${faults.length} broken promises`,
    ].join("; ") + "\n",
  );
  for (const fault of faults) process.stdout.write(`  ${fault}\n`);
  if (flags.story) process.stdout.write(["", ...describeScenario(scenario, begun), ""].join("\n"));
  return faults.length === 0 ? 0 : 1;
}

function formatRevocations({ revocations, refusals, endedWatches }: RevocationCounts): string {
  return `${revocations} revocations, after which ${refusals} uses were refused and ${endedWatches} watches ended`;
}

runMain("simulate", main);
