/**
 * `deno task simulate`: a cluster in one process, in simulated time. Servers, controllers and nodes are the real code; the
 * clock, timers, network, randomness and keys are simulated, and depend on the seed alone: the same seed gives the same
 * trace, byte for byte. Months pass in minutes. It runs on Node, whose timers and built-in modules can be replaced
 * (`runtime.ts`); whatever would wait for the real world ends the run with an error that names it.
 *
 * The exit code is 1 when a promise is broken, 2 for an invalid command line. The last line has the seed, the counts, the
 * node-days that a minute of one core simulates, and the SHA-256 of the trace. `--trace FILE` keeps the
 * trace; `--history FOLDER` keeps every call of nodes and clients, for `deno task torture --replay FOLDER`.
 * Usage: main.ts [--seed S] [--days N | --hours N] [--servers N] [--nodes N] [--clients N] [--lifetime HOURS] [--history FOLDER] [--trace FILE]
 */
import { join } from "node:path";
import process from "node:process";
import { getErrorMessage } from "../../core/errors.ts";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { run } from "../../scripts/processes.ts";
import { NODE_FLAGS } from "../support/child.ts";
import { UsageError } from "../torture/flags.ts";
import { readFlags } from "./flags.ts";

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  readFlags(args);
  return await run(await ensureNode(), [...NODE_FLAGS, join("tests", "simulation", "simulate_process.ts"), ...args]);
}

main().then((code) => process.exit(code), (error: unknown) => {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`simulate: ${error instanceof Error && !isUsage ? error.stack : getErrorMessage(error)}\n`);
  process.exit(isUsage ? 2 : 1);
});
