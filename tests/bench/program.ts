/** The measured program: the released file, or the sources on the same Node. */
import { join } from "node:path";
import process from "node:process";
import { type Child, type Finished, NODE_FLAGS, start } from "../support/child.ts";
import { ensureReleasedFile } from "../../scripts/build/node_runtime.ts";

export interface Program {
  /** Runs a command to its end; throws an Error with its output unless it exits with 0. */
  run(args: readonly string[]): Promise<Finished>;
  start(args: readonly string[]): Child;
}

/** Creates a program that runs the sources of the checkout, from `main`, on Node with these additional flags. */
export function sourceProgram(node: string, flags: readonly string[], main = "cli/main.ts"): Program {
  return createProgram(node, [...flags, ...NODE_FLAGS, join(process.cwd(), main)]);
}

/** Creates a program that runs the released file: `TLSBOOT_TEST_BINARY`, or else built in a folder. */
export async function releasedProgram(folder: string): Promise<Program> {
  return createProgram(await ensureReleasedFile("host", folder), []);
}

/** Excludes the CAs of the machine, which Node would read in addition to the only one that tlsboot trusts. */
const OWN_CAS_ONLY = { NODE_EXTRA_CA_CERTS: "", SSL_CERT_FILE: "" };

function createProgram(command: string, before: readonly string[]): Program {
  return {
    run: (args) => mustEnd(command, [...before, ...args], OWN_CAS_ONLY),
    start: (args) => start(command, [...before, ...args], { env: OWN_CAS_ONLY }),
  };
}

/** Runs any program to its end; throws an Error with its output unless it exits with 0. */
export async function mustEnd(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  await using running = start(command, args, { env });
  const finished = await running.finished();
  if (finished.code === 0) return finished;
  const { code, stdout, stderr } = finished;
  throw new Error(`${command} ${args.join(" ")} ended with ${code}\n${stdout}\n${stderr.slice(-4000)}`);
}
