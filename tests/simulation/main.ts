/**
 * `deno task simulate`: a cluster in one process, in simulated time. Servers, controllers and nodes run the real code.
 * The clock, timers, network, randomness and keys are simulated and depend only on the seed: the same seed gives the
 * same trace, byte for byte. Months pass in minutes. It runs on Node, whose timers and built-in modules can be replaced
 * (`runtime.ts`).
 *
 * `--faults N` draws that many faults from the seed. Between any two steps, servers, nodes, clients and members of etcd
 * are killed, paused, cut off, lose power and unsynced data, or get no answers; and clocks are set. The promises of
 * `invariants.ts` are checked throughout. A scenario that breaks one is simplified while it breaks it, described as a
 * story, and kept in a file for `--replay FILE`; `--shrink 0` skips this. `--seeds N` runs further seeds until one
 * breaks a promise. With `--plant NAME`, the sources have a bug of `tests/torture/plants.ts`, which a run must find.
 *
 * The exit code is 1 if a promise is broken, 2 for an invalid command line. The last line of a run has the seed, the
 * counts, the node-days that a minute of one core simulates, and the SHA-256 of the trace. `--trace FILE` writes the
 * trace to a file; `--history FOLDER` keeps every call of nodes and clients for `deno task torture --replay FOLDER`;
 * `--check-history` checks them at once.
 * Usage: main.ts [--seed S] [--days N | --hours N] [--servers N] [--nodes N] [--clients N] [--revokers N]
 *   [--lifetime HOURS] [--history FOLDER] [--check-history] [--trace FILE] [--faults N] [--seeds N] [--shrink N]
 *   [--replay FILE] [--plant NAME]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { type Ended, runAside } from "../../scripts/processes.ts";
import { NODE_FLAGS } from "../support/child.ts";
import { runMain } from "../support/command_line.ts";
import { ensurePeers } from "../support/peers/go.ts";
import { checkHistory, formatVerdict, HISTORY_CHECKER, listVerdictFaults } from "../torture/history_check.ts";
import { readFlags, type SimulationFlags } from "./flags.ts";
import { readScenario, type Scenario, shrinkScenario } from "./scenario.ts";

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const flags = readFlags(args);
  if (flags.isHistoryChecked) await ensurePeers(process.cwd(), [HISTORY_CHECKER]);
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-simulation-"));
  for (let seed = flags.seed; seed < flags.seed + flags.seeds; seed++) {
    const scenario = readScenario({ ...flags, seed });
    const path = join(folder, `seed-${scenario.seed}.json`);
    const { code, output } = await simulate(path, scenario, flags);
    process.stdout.write(output);
    if (code === 0) continue;
    const broken = findBrokenPromise(output);
    if (broken === undefined || flags.shrink === 0) return code;
    const shortest = await shrinkScenario(scenario, async (simpler) => {
      const again = findBrokenPromise((await simulate(path, simpler, flags)).output);
      return again !== undefined && withoutNumbers(again) === withoutNumbers(broken);
    }, flags.shrink);
    const last = await simulate(path, shortest, flags, ["--story"]);
    process.stdout.write(`\n${last.output}replay it with --replay ${path}\n`);
    return 1;
  }
  await rm(folder, { recursive: true });
  return 0;
}

/** Runs a scenario in its own process, because the runtime is replaced for good. */
async function simulate(
  path: string,
  scenario: Scenario,
  { trace, isHistoryChecked, plant, ...flags }: SimulationFlags,
  extraFlags: readonly string[] = [],
): Promise<Ended> {
  const history = flags.history ?? (isHistoryChecked ? dirname(path) : undefined);
  await writeFile(path, `${JSON.stringify(scenario, undefined, 2)}\n`);
  const ended = await runAside(await ensureNode(), [
    ...NODE_FLAGS,
    join("tests", "simulation", "simulate_process.ts"),
    "--replay",
    path,
    ...(history === undefined ? [] : ["--history", history]),
    ...(trace === undefined ? [] : ["--trace", trace]),
    ...(plant === undefined ? [] : ["--plant", plant]),
    ...extraFlags,
  ]);
  if (!isHistoryChecked || history === undefined || ended.code !== 0) return ended;
  const verdict = await checkHistory(history);
  const faults = listVerdictFaults(verdict);
  const output = [formatVerdict(verdict), ...faults.map((fault) => `  ${fault}`), ""].join("\n");
  return { code: faults.length === 0 ? 0 : 1, output: ended.output + output };
}

/** Finds the first broken promise, indented below the summary of a run. */
function findBrokenPromise(output: string): string | undefined {
  return output.split("\n").find((line) => /^ {2}\S/.test(line))?.trim();
}

/** Removes the numbers of a finding, because two runs that differ only in numbers break the same promise. */
function withoutNumbers(text: string): string {
  return text.replaceAll(/[0-9a-f]*[0-9][0-9a-f]*/g, "0");
}

runMain("simulate", main);
