/**
 * `deno task bench`: measures tlsboot and its peers in the same run. A missing peer or a node without its certificate
 * is a failure, a slow result is not. `--help` prints the usage.
 */
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { createTempFolder } from "../support/temp.ts";
import type { Bench } from "./bench.ts";
import { runCapacity } from "./capacity_command.ts";
import { runGrowth } from "./growth_command.ts";
import { runIdle } from "./idle_command.ts";
import { readMachine } from "./machine.ts";
import { HELP, type Options, parseOptions, UsageError } from "./options.ts";
import { runProfile } from "./profile_command.ts";
import { checkProc } from "./processes.ts";
import { type Program, releasedFile, sourcesOn } from "./program.ts";
import { type Command, formatJson, formatSection, type Section, writeSection } from "./section.ts";
import { runSteady } from "./steady_command.ts";
import { runEtcd, runTable } from "./table_command.ts";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { ensurePeers } from "../support/peers/go.ts";

const RUNNERS: Readonly<Record<Command, (bench: Bench) => Promise<Section>>> = {
  table: runTable,
  etcd: runEtcd,
  growth: runGrowth,
  idle: runIdle,
  steady: runSteady,
  capacity: runCapacity,
  profile: runProfile,
};

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return;
  }
  checkProc();
  const root = process.cwd();
  progress("looking for the peers");
  await ensurePeers(root, "bench");
  const node = await ensureNode();
  await using folder = await createTempFolder();
  const section = await RUNNERS[options.command](prepare(options, node, folder.path));
  if (options.json !== undefined) await writeFile(options.json, formatJson(section));
  if (options.writes) await writeSection(root, section);
  process.stdout.write(formatSection(section));
}

function prepare(options: Options, node: string, folder: string): Bench {
  let built: Promise<Program> | undefined;
  const file = (): Promise<Program> => {
    if (built === undefined) progress("building the released file");
    return built ??= releasedFile(folder);
  };
  return {
    options,
    node,
    programs: () => Promise.all(options.forms.map((form) => form === "file" ? file() : sourcesOn(node))),
    file,
    progress,
    machine: () => readMachine(node),
  };
}

function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write("see: deno task bench --help\n");
  process.exit(error instanceof UsageError ? 2 : 1);
});
