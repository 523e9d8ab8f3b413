/**
 * `deno task torture --power-loss`: records what real programs write, and simulates a power loss at many places of the
 * record. If something acknowledged is lost or torn, or nothing was tried, it exits with 1 and keeps the folder.
 */
import process from "node:process";
import { findCommit, runMain } from "../../support/command_line.ts";
import { createTempFolder } from "../../support/temp.ts";
import { readFlags } from "../flags.ts";
import { runPowerLoss } from "./run.ts";

async function main(): Promise<number> {
  const { seed, states, starts, scenes } = readFlags(process.argv.slice(2));
  const folder = await createTempFolder("tlsboot-power-loss-");
  process.stdout.write(`power loss: seed ${seed}, ${states} states and ${starts} starts of each scene\n`);
  const started = performance.now();
  const onProgress = (line: string): void => void process.stdout.write(`  ${line}\n`);
  const report = await runPowerLoss({ folder, seed, states, starts, scenes, onProgress });
  const seconds = Math.round((performance.now() - started) / 1000);
  const isProved = report.promises > 0 && report.states > 0 && (starts === 0 || report.starts > 0);
  const outcome = report.faults.length > 0
    ? `${report.faults.length} faults`
    : isProved
    ? "nothing lost"
    : "not proved";
  process.stdout.write(
    `power loss: ${outcome}: seed ${seed}, commit ${findCommit()}, ${report.records} changes, ${report.syncs} syncs, ` +
      `${report.promises} promises, ${report.states} states, ${report.starts} starts, ${seconds} s\n`,
  );
  if (report.faults.length === 0 && isProved) {
    await folder[Symbol.asyncDispose]();
    return 0;
  }
  process.stdout.write(`  the folder is kept: ${folder.path}\n`);
  return 1;
}

runMain("power loss", main);
