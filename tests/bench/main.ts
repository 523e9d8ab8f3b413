/**
 * `deno task bench`: measures tlsboot and its peers in the same run. A missing peer or a node without its certificate
 * is a failure; a slow result is not. `--help` prints the usage.
 */
import process from "node:process";
import { runMain } from "../support/command_line.ts";
import { createTempFolder } from "../support/temp.ts";
import type { Bench } from "./bench.ts";
import { runCapacity } from "./capacity_command.ts";
import { runGrowth } from "./growth_command.ts";
import { runLadder } from "./ladder_command.ts";
import { readMachine } from "./machine.ts";
import { HELP, type Options, parseOptions } from "./options.ts";
import { runProfile } from "./profile_command.ts";
import { type Program, releasedProgram } from "./program.ts";
import { type Command, formatSection, type Section, writeSection } from "./section.ts";
import { runSteady } from "./steady_command.ts";
import { runTable } from "./table_command.ts";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { ensurePeers } from "../support/peers/go.ts";

const RUNNERS: Readonly<Record<Command, (bench: Bench) => Promise<Section>>> = {
  table: runTable,
  growth: runGrowth,
  steady: runSteady,
  capacity: runCapacity,
  ladder: runLadder,
  profile: runProfile,
};

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const root = process.cwd();
  progress("looking for the peers");
  await ensurePeers(root, "bench");
  const node = await ensureNode();
  await using folder = await createTempFolder();
  const section = await RUNNERS[options.command](prepare(options, node, folder.path));
  if (options.writes) await writeSection(root, section);
  process.stdout.write(formatSection(section));
  return 0;
}

function prepare(options: Options, node: string, folder: string): Bench {
  let built: Promise<Program> | undefined;
  return {
    options,
    node,
    program() {
      if (built === undefined) progress("building the released file");
      return built ??= releasedProgram(folder);
    },
    progress,
    machine: () => readMachine(node),
  };
}

function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

runMain("bench", main);
