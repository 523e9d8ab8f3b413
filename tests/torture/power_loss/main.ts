/**
 * `deno task torture --power-loss`: what real programs write is recorded, and the power fails at many places of the record.
 * The exit code is 1 when something that was acknowledged is lost or torn, or nothing was tried; then the folder is kept.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findCommit, runMain } from "../../support/command_line.ts";
import { readFlags } from "../flags.ts";
import { runPowerLoss } from "./run.ts";

async function main(): Promise<number> {
  const { seed, states, starts, scenes } = readFlags(process.argv.slice(2));
  const path = await mkdtemp(join(tmpdir(), "tlsboot-power-loss-"));
  const dispose = () => rm(path, { recursive: true, force: true });
  const folder = { path, join: (...parts: readonly string[]) => join(path, ...parts), [Symbol.asyncDispose]: dispose };
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
    await dispose();
    return 0;
  }
  process.stdout.write(`  the folder is kept: ${path}\n`);
  return 1;
}

runMain("power loss", main);
