/** The build as the tests and the benchmarks start it. */
import { join } from "node:path";
import process from "node:process";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { runQuietly } from "../processes.ts";
import { findTargets, toFileName } from "./targets.ts";

/** Builds the files of a target, of `host` or of `all` into a folder; answers the path of the one for this machine. */
export async function runBuild(target: string, out: string): Promise<string> {
  await runQuietly(process.execPath, ["run", "-A", "--no-check", "scripts/build.ts", "--target", target, "--out", out]);
  return join(out, toFileName(findTargets("host")[0]!, TLSBOOT_VERSION));
}
