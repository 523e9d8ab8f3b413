/**
 * `deno task torture`: a storm of nodes that bootstrap and renew, while the server is killed with SIGKILL at random
 * instants and started again. Nothing that was acknowledged may be lost, signed twice, numbered anew or missed by a
 * watch; the database must pass its check, and every node end with a working pair. docs/steadiness.md has the promises.
 *
 * The seed decides when kills come and what clients do; how far the server is by then is up to the machine. On a broken
 * promise, or when there was no time to try any, it ends with 1 and the folder is kept, with the account in
 * `violations.txt`; with 2 when it is called wrongly. Without flags it takes less than two minutes, and
 * kills as often as it can within; `--kills 200` takes as long as 200 kills do.
 * With `--servers 3` that many servers share a real etcd of three members behind a load balancer, and one server and one
 * member are killed at a time.
 * Usage: torture.ts [--kills N] [--seconds N] [--nodes N] [--servers N] [--seed S] [--binary]
 */
import { mkdtemp, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { messageOf } from "../core/errors.ts";
import { runBuild } from "./build/run.ts";
import { ensureNode } from "./node_runtime.ts";
import { ensurePeers } from "./peers.ts";
import { runStorm, type StormReport } from "./torture/storm.ts";

const KILLS = "200";
/** Of kills; what follows them takes some more. All of it is below two minutes. */
const SECONDS = "90";
/** For a number of kills that was asked for. */
const LONGEST_SECONDS = "3600";
const SHOWN_VIOLATIONS = 20;

/** What is wrong with the command line. */
class UsageError extends Error {}

async function main(): Promise<number> {
  const values = readFlags();
  const kills = wholeNumber("kills", values.kills ?? KILLS);
  const seconds = wholeNumber("seconds", values.seconds ?? (values.kills === undefined ? SECONDS : LONGEST_SECONDS));
  const [nodes, seed] = [wholeNumber("nodes", values.nodes), wholeNumber("seed", values.seed)];
  const servers = wholeNumber("servers", values.servers, 1);
  if (servers > 1) await ensurePeers(process.cwd(), ["etcd"]);
  if (values.binary) process.env["TLSBOOT_TEST_BINARY"] = await runBuild("host", join(process.cwd(), "dist"));
  else process.env["TLSBOOT_TEST_NODE"] = await ensureNode();
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-torture-"));
  process.stdout.write(
    `torture: seed ${seed}, at most ${kills} kills in ${seconds} s, ${nodes} nodes, ${servers} server${
      servers === 1 ? "" : "s"
    }\n`,
  );
  const onProgress = (line: string): void => void process.stdout.write(`  ${line}\n`);
  const report = await runStorm({ folder, seed, kills, seconds, nodes, servers, onProgress }).catch(async (error) => {
    // It is empty unless something was started.
    await rmdir(folder).catch(() => process.stdout.write(keptLine(folder)));
    throw error;
  });
  process.stdout.write(`${summaryOf(report, nodes, servers)}\n`);
  const faults = report.violations.length > 0 ? report.violations : untried(report);
  const account = faults.map((line) => `  ${line}\n`);
  if (account.length === 0) {
    await rm(folder, { recursive: true, force: true });
    return 0;
  }
  await writeFile(join(folder, "violations.txt"), account.join(""));
  process.stdout.write(account.slice(0, SHOWN_VIOLATIONS).join(""));
  const flags = Object.entries({ kills, seconds, nodes, servers, seed }).map(([name, value]) => `--${name} ${value}`);
  if (values.binary) flags.push("--binary");
  process.stdout.write(`${keptLine(folder)}  again: deno task torture ${flags.join(" ")}\n`);
  return 1;
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        kills: { type: "string" },
        seconds: { type: "string" },
        nodes: { type: "string", default: "24" },
        servers: { type: "string", default: "1" },
        seed: { type: "string", default: "20261125" },
        binary: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function keptLine(folder: string): string {
  return `  the folder is kept: ${folder}\n`;
}

/** What has to be tried before nothing can be said to be lost. */
function untried({ kills, certificates, events, checks }: StormReport): readonly string[] {
  const counts = { kills, certificates, "events compared": events, "looks into the database": checks };
  return Object.entries(counts).filter(([, count]) => count === 0).map(([what]) =>
    `nothing is proved: no ${what}; allow more --seconds, --kills or --nodes`
  );
}

function summaryOf(report: StormReport, nodes: number, servers: number): string {
  const broken = report.violations.length;
  const verdict = broken > 0 ? `${broken} broken promises` : untried(report).length > 0 ? "not proved" : "nothing lost";
  return [
    `torture: ${report.kills} kills (${report.killedStarting} of a starting server) in ${report.seconds.toFixed(0)} s`,
    `${report.certificates} certificates, ${report.writes} writes and ${report.deletions} deletions acknowledged`,
    `${report.states} states shown`,
    `${report.watchers} watchers saw ${report.events} events over ${report.connections} connections`,
    `${report.checks} looks into the ${servers === 1 ? "database" : "etcd"}`,
    `${report.pairs} of ${nodes} nodes with a working pair`,
    verdict,
  ].join("; ");
}

function wholeNumber(name: string, text: string, least = 0): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
  throw new UsageError(`--${name} must be a whole number from ${least} on, not ${JSON.stringify(text)}`);
}

main().then((code) => process.exit(code), (error: unknown) => {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`torture: ${error instanceof Error && !isUsage ? error.stack : messageOf(error)}\n`);
  process.exit(isUsage ? 2 : 1);
});
