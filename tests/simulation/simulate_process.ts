/** One run of `deno task simulate`, on Node. Usage: simulate_process.ts with the flags of `main.ts` beside it */
import process from "node:process";
import { readFlags } from "./flags.ts";
import { runWorld } from "./world.ts";

async function main(): Promise<number> {
  const { trace, ...flags } = readFlags(process.argv.slice(2));
  const { seed, hours, nodes, servers } = flags;
  const begun = process.cpuUsage();
  const report = await runWorld({ ...flags, tracePath: trace });
  const { user, system } = process.cpuUsage(begun);
  const seconds = (user + system) / 1e6;
  const days = hours / 24;
  const nodeDays = nodes * days;
  process.stdout.write(
    [
      `simulate: seed ${seed}`,
      `${servers} servers and ${nodes} nodes for ${days.toFixed(1)} days`,
      `${report.events} events`,
      `${report.certificates} certificates`,
      `${nodeDays.toFixed(1)} node-days in ${seconds.toFixed(1)} s of one core, ${
        Math.round(60 * nodeDays / seconds)
      } a minute`,
      `trace of ${report.lines} lines with SHA-256 ${report.digest}`,
      report.faults.length === 0 ? "nothing broken" : `${report.faults.length} broken promises`,
    ].join("; ") + "\n",
  );
  for (const fault of report.faults) process.stdout.write(`  ${fault}\n`);
  return report.faults.length === 0 ? 0 : 1;
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`simulate: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
