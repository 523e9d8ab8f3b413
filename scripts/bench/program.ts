/** The forms of tlsboot that are measured, both on the Node that the released file embeds. */
import { join } from "node:path";
import process from "node:process";
import { type Finished, type Running, runProgram, start } from "../../tests/support/child.ts";
import { bundle, writeBundle } from "../build/bundle.ts";

/** tlsboot in one form. */
export interface Program {
  /** `sources` or `bundle`. */
  readonly form: string;
  /** Runs a command to its end; throws with its output unless it exits 0. */
  run(args: readonly string[]): Promise<Finished>;
  start(args: readonly string[]): Running;
}

const QUIET = ["--disable-warning=ExperimentalWarning", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"];

/** The sources of the checkout. */
export function sourcesOn(node: string): Program {
  return createProgram("sources", node, join(process.cwd(), "cli", "main.ts"));
}

/** The CommonJS bundle, as the released file embeds it; made in a folder. */
export async function bundleOn(node: string, folder: string): Promise<Program> {
  const file = await writeBundle(await bundle(), folder);
  return createProgram("bundle", node, file);
}

function createProgram(form: string, node: string, file: string): Program {
  const all = (args: readonly string[]) => [...QUIET, file, ...args];
  return {
    form,
    run: (args) => mustEnd(node, all(args)),
    start: (args) => start(node, all(args)),
  };
}

/** Runs any program to its end; throws with its output unless it exits 0. */
export async function mustEnd(command: string, args: readonly string[]): Promise<Finished> {
  const finished = await runProgram(command, args);
  if (finished.code === 0) return finished;
  const { code, stdout, stderr } = finished;
  throw new Error(`${command} ${args.join(" ")} ended with ${code}\n${stdout}\n${stderr.slice(-4000)}`);
}
