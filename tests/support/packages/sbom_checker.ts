/** Checks bills of materials with CycloneDX's own schema. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { ensureNode } from "../../../scripts/build/node_runtime.ts";
import { ROOT, runProgram, succeedProgram } from "../child.ts";

/** Returns the faults of a document; an empty text if it has none. */
type SbomChecker = (document: string) => Promise<string>;

/** Installs the checker into a folder that does not exist yet. */
export async function createSbomChecker(folder: string): Promise<SbomChecker> {
  await cp(join(ROOT, "tests", "packages", "sbom_checker"), folder, { recursive: true });
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"];
  await succeedProgram("npm", ["ci", ...options], { cwd: folder });
  const node = await ensureNode();
  return async (stdin) => (await runProgram(node, ["check.mjs"], { cwd: folder, stdin })).stdout;
}
