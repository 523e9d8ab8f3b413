/**
 * Runs one storm and prints its report. `deno task torture` runs it on Node, because in Deno 2.9 a few of a thousand
 * connections are never established while servers die.
 * Usage: storm_process.ts with the flags of `main.ts`
 */
import { mkdtemp, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findCommit, runMain } from "../support/command_line.ts";
import { earlierBuildPath } from "./earlier_build.ts";
import { findMissingFaults, formatFaults } from "./faults.ts";
import { readFlags, type TortureFlags } from "./flags.ts";
import { checkHistory, formatVerdict, listVerdictFaults, type Verdict } from "./history_check.ts";
import { runStorm, type StormReport } from "./storm.ts";

const SHOWN_VIOLATIONS = 20;

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const flags = readFlags(args);
  const { kills, minKills, seconds, settleSeconds, nodes, servers, seed, faults } = flags;
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-torture-"));
  process.stdout.write(
    `torture: seed ${seed}, ${
      faults.join(", ")
    } for ${seconds} s, at most ${kills} kills, ${nodes} nodes, ${servers} server${servers === 1 ? "" : "s"}\n`,
  );
  const onProgress = (line: string): void => void process.stdout.write(`  ${line}\n`);
  const earlierBuild = faults.includes("upgrade") ? earlierBuildPath() : undefined;
  const settings = { seed, kills, minKills, seconds, settleSeconds, nodes, servers, faults };
  const report = await runStorm({ folder, ...settings, earlierBuild, onProgress }).catch(async (error) => {
    // The folder is empty unless something was started.
    await rmdir(folder).catch(() => process.stdout.write(keptLine(folder)));
    throw error;
  });
  const verdict = await checkHistory(folder);
  const broken = [...report.violations, ...listVerdictFaults(verdict)];
  const unproved = findGaps(report, verdict, flags);
  process.stdout.write(`${formatSummary(report, verdict, flags, { broken, unproved })}\n`);
  const problems = broken.length > 0 ? broken : unproved;
  const lines = problems.map((line) => `  ${line}\n`);
  if (lines.length === 0) {
    if (flags.keep) process.stdout.write(keptLine(folder));
    else await rm(folder, { recursive: true, force: true });
    return 0;
  }
  await writeFile(join(folder, "violations.txt"), lines.join(""));
  process.stdout.write(lines.slice(0, SHOWN_VIOLATIONS).join(""));
  if (verdict.page !== "") process.stdout.write(`  open in a browser: ${verdict.page}\n`);
  // Print the flags as given, because they determine how many kills are required.
  process.stdout.write(`${keptLine(folder)}  again: ${["deno task torture", ...args].join(" ")}\n`);
  return 1;
}

function keptLine(folder: string): string {
  return `  the folder is kept: ${folder}\n`;
}

/** Lists what the run should have exercised, but did not. */
function findGaps(
  { faults, certificates, checks, shares, records, revocations, refusals, endedWatches }: StormReport,
  { reads, events, operations }: Verdict,
  { minKills, faults: chosen }: TortureFlags,
): readonly string[] {
  const counts = {
    certificates,
    "records of the register": records,
    revocations,
    "refused uses of a revoked credential": refusals,
    "watches that a revocation ended": endedWatches,
    "checked events": events,
    "checked reads": reads,
    "checked operations": operations,
    "checks of the database": checks,
    ...Object.fromEntries(shares.map((share, index) => [`connections of server ${index}`, share])),
  };
  const missing = Object.entries(counts).filter(([, count]) => !(count > 0)).map(([what]) => `no ${what}`);
  missing.unshift(...findMissingFaults(faults, chosen).map((what) => `no ${what}`));
  if (faults.kill < minKills) missing.unshift(`${faults.kill} kills, not ${minKills}`);
  return missing.map((what) => `nothing is proved: ${what}; allow more --seconds, --kills or --nodes`);
}

function formatSummary(
  report: StormReport,
  verdict: Verdict,
  { nodes, servers, seed, faults }: TortureFlags,
  { broken, unproved }: { readonly broken: readonly string[]; readonly unproved: readonly string[] },
): string {
  const outcome = broken.length > 0
    ? `${broken.length} broken promises`
    : unproved.length > 0
    ? "not proved"
    : "nothing lost";
  return [
    `torture: seed ${seed}, commit ${findCommit()}`,
    `${formatFaults(report.faults, faults)} (${report.killedStarting} kills of a starting server) ` +
    `in ${report.seconds.toFixed(0)} s`,
    `${report.certificates} certificates, ${report.writes} writes and ${report.deletions} deletions acknowledged`,
    `${report.records} records in the register`,
    `${report.revocations} credentials revoked, ${report.refusals} uses of them refused, ` +
    `${report.endedWatches} of their watches ended`,
    `${report.watchers} watchers had ${report.connections} connections`,
    formatVerdict(verdict),
    ...(report.shares.length === 0 ? [] : [`connections by server ${report.shares.join(", ")}`]),
    `${report.checks} checks of the ${servers === 1 ? "database" : "etcd"}`,
    `${report.pairs} of ${nodes} nodes with a working pair`,
    outcome,
  ].join("; ");
}

runMain("torture", main);
