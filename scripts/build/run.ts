/** The released file as the tests and the benchmarks start it. */
import { join } from "node:path";
import process from "node:process";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { runQuietly } from "../processes.ts";
import { hostPlatform } from "./node_runtime.ts";
import { toFileName } from "./targets.ts";

/**
 * Returns the path of the released file for this machine. That is the file that `TLSBOOT_TEST_BINARY` names, or one that
 * is built into a folder with the others of a target, of `host` or of `all`.
 */
export async function ensureReleasedFile(target: string, out: string): Promise<string> {
  const built = process.env["TLSBOOT_TEST_BINARY"];
  if (built !== undefined) return built;
  await runQuietly(process.execPath, ["run", "-A", "--no-check", "scripts/build.ts", "--target", target, "--out", out]);
  return join(out, toFileName(hostPlatform(), TLSBOOT_VERSION));
}
