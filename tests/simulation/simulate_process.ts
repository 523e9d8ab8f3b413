/** One run of `deno task simulate`, on Node. Usage: simulate_process.ts with the flags of `main.ts` beside it */
import process from "node:process";
import { readFlags } from "./flags.ts";
import { runWorld } from "./world.ts";

async function main(): Promise<number> {
  const { seed, days, nodes, trace } = readFlags(process.argv.slice(2));
  const begun = process.cpuUsage();
  const report = await runWorld({ seed, days, nodes, tracePath: trace });
  const { user, system } = process.cpuUsage(begun);
  const seconds = (user + system) / 1e6;
  const nodeDays = nodes * days;
  process.stdout.write(
    [
      `simulate: seed ${seed}`,
      `${nodes} nodes for ${days} days`,
      `${report.events} events`,
      `${report.certificates} certificates`,
      `${nodeDays} node-days in ${seconds.toFixed(1)} s of one core, ${Math.round(60 * nodeDays / seconds)} a minute`,
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
