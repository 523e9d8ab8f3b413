/**
 * `deno task torture`: a storm of nodes that bootstrap and renew, while the server is killed with SIGKILL at random
 * instants and started again. Nothing that was acknowledged may be lost, signed twice, numbered anew or missed by a
 * watch; the database must pass its check, and every node end with a working pair. docs/steadiness.md has the promises.
 *
 * The seed decides when kills come and what clients do; how far the server is by then is up to the machine. On a broken
 * promise the folder is kept, with the account in `violations.txt`. Without flags it takes less than two minutes, and
 * kills as often as it can within; `--kills 200` takes as long as 200 kills do.
 * With `--servers 3` that many servers share a real etcd of three members behind a load balancer, and one server and one
 * member are killed at a time.
 * Usage: torture.ts [--kills N] [--seconds N] [--nodes N] [--servers N] [--seed S] [--binary]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
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

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: "string" },
      seconds: { type: "string" },
      nodes: { type: "string", default: "24" },
      servers: { type: "string", default: "1" },
      seed: { type: "string", default: "20261125" },
      binary: { type: "boolean", default: false },
    },
  });
  const kills = wholeNumber("kills", values.kills ?? KILLS);
  const seconds = wholeNumber("seconds", values.seconds ?? (values.kills === undefined ? SECONDS : LONGEST_SECONDS));
  const [nodes, seed] = [wholeNumber("nodes", values.nodes), wholeNumber("seed", values.seed)];
  const servers = wholeNumber("servers", values.servers);
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
  const report = await runStorm({ folder, seed, kills, seconds, nodes, servers, onProgress });
  process.stdout.write(`${summaryOf(report, nodes, servers)}\n`);
  if (report.violations.length === 0) {
    await rm(folder, { recursive: true, force: true });
    return 0;
  }
  const account = report.violations.map((violation) => `  ${violation}\n`);
  await writeFile(join(folder, "violations.txt"), account.join(""));
  process.stdout.write(account.slice(0, SHOWN_VIOLATIONS).join(""));
  process.stdout.write(
    `  the folder is kept: ${folder}\n  again: deno task torture --servers ${servers} --seed ${seed}\n`,
  );
  return 1;
}

function summaryOf(report: StormReport, nodes: number, servers: number): string {
  const verdict = report.violations.length === 0 ? "nothing lost" : `${report.violations.length} broken promises`;
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

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`--${name} must be a whole number, not ${JSON.stringify(text)}`);
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`torture: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
