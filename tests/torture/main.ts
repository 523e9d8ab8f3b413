/**
 * `deno task torture`: a storm of nodes that bootstrap and renew while the server is killed with SIGKILL at random
 * times and started again. No promise of docs/engineering/guarantees.md may be broken.
 *
 * The seed determines the times of the kills and the actions of the clients, but not the progress of the server. If a
 * promise is broken, or too few kills happened, the exit code is 1 and the folder is kept, with a report in
 * `violations.txt`. The exit code is 2 for an invalid command line. Without flags, a run takes about two minutes with
 * as many kills as possible, but at least 25, for which a slow machine may need up to a quarter of an hour.
 * `--kills 200` runs until 200 kills have happened, at most one hour, and fails with fewer; with only `--seconds` or
 * `--servers`, one kill is enough. With `--servers 3`, three servers behind HAProxy share a real etcd of three members,
 * and one server and one member are killed at a time.
 *
 * `--faults` chooses the faults, kills by default, or `all`: pauses of servers and members (SIGSTOP), clocks that are
 * set an hour forward or back, network partitions, compactions of etcd, and upgrades and downgrades between an earlier
 * build and this one. The seed determines their order, in rounds that have each chosen fault once. Each must happen. A
 * fault that a server survives lasts up to a tenth of the time, at most a minute. Clocks need Debian's libfaketime,
 * partitions need root and iproute2, and upgrades need the commit of the earlier build in this clone.
 *
 * `--plant NAME` builds tlsboot with a bug of `plants.ts` and runs its finder; `--plant all` does so for every bug and
 * prints a table. The exit code is 1 if a bug is not found, or if something is found in a build without a bug. A bug
 * may keep clients from settling, so they have 20 seconds for it instead of 90 (`--settle`).
 *
 * `--power-loss` simulates power loss instead, in `--states` states of each scene (`power_loss/scenes.ts`), and starts
 * programs again on `--starts` of them; `--scene NAME` chooses scenes.
 * Usage: main.ts [--kills N] [--seconds N] [--settle N] [--nodes N] [--servers N] [--faults kill,pause,…|all] [--seed S]
 *        [--binary] [--keep] | --plant NAME,…|all
 *        main.ts --replay FOLDER
 *        main.ts --power-loss [--states N] [--starts N] [--scene NAME]... [--seed S] [--binary]
 */
import { join } from "node:path";
import process from "node:process";
import { runMain } from "../support/command_line.ts";
import { NODE_FLAGS } from "../support/child.ts";
import { ensureDebianPackages, findProgram } from "../support/peers/debian.ts";
import { run } from "../../scripts/processes.ts";
import { ensureNode, ensureReleasedFile } from "../../scripts/build/node_runtime.ts";
import { ensurePeers } from "../support/peers/go.ts";
import { ensureEarlierBuild } from "./earlier_build.ts";
import { readFlags } from "./flags.ts";
import { checkHistory, formatVerdict, HISTORY_CHECKER, listVerdictFaults } from "./history_check.ts";
import { runPlants } from "./plant_runs.ts";

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const { servers, binary, faults, plant, powerLoss, replay } = readFlags(args);
  if (!powerLoss) await ensurePeers(process.cwd(), [HISTORY_CHECKER]);
  if (replay !== undefined) return await replayHistory(replay);
  if (plant !== undefined) return await runPlants(plant);
  if (servers > 1) {
    await ensurePeers(process.cwd(), ["etcd"]);
    if (findProgram("haproxy") === undefined) await ensureDebianPackages(["haproxy"]);
  }
  if (faults.includes("upgrade")) await ensureEarlierBuild();
  if (faults.includes("clock")) await ensureDebianPackages(["libfaketime"]);
  const node = await ensureNode();
  const env: Record<string, string> = binary
    ? { TLSBOOT_TEST_BINARY: await ensureReleasedFile("host", join(process.cwd(), "dist")) }
    : { TLSBOOT_TEST_NODE: node };
  const program = powerLoss ? ["power_loss", "main.ts"] : ["storm_process.ts"];
  return await run(node, [...NODE_FLAGS, join("tests", "torture", ...program), ...args], { env });
}

/** Checks the history in the folder of an earlier run again. */
async function replayHistory(folder: string): Promise<number> {
  const verdict = await checkHistory(folder);
  const faults = listVerdictFaults(verdict);
  process.stdout.write(
    [verdict.title, formatVerdict(verdict), ...faults, ...verdict.page === "" ? [] : [verdict.page], ""].join("\n"),
  );
  return faults.length === 0 ? 0 : 1;
}

runMain("torture", main);
