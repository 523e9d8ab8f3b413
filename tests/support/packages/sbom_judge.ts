/** CycloneDX's own schema as the judge of bills of materials. */
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { ensureNode } from "../../../scripts/build/node_runtime.ts";
import { ROOT, runProgram } from "../child.ts";

/** Says what is wrong with a document; the empty text if nothing is. */
export type SbomJudge = (document: string) => Promise<string>;

/** Installs the judge into a folder that does not exist yet. */
export async function createSbomJudge(folder: string): Promise<SbomJudge> {
  await cp(join(ROOT, "tests", "packages", "judges", "sbom"), folder, { recursive: true });
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"];
  const installed = await runProgram("npm", ["ci", ...options], { cwd: folder });
  assert.equal(installed.code, 0, installed.stderr);
  const node = await ensureNode();
  return async (stdin) => (await runProgram(node, ["judge.mjs"], { cwd: folder, stdin })).stdout;
}
