/** An earlier build of the program, for upgrades and downgrades. It is built once per machine. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { cacheDir, mustRun } from "../../scripts/processes.ts";
import { hostPlatform } from "../../scripts/build/node_runtime.ts";
import { runProgram } from "../support/child.ts";

/** The last release or, as long as there is none, the commit whose data every later build must open. */
const EARLIER_COMMIT = "ea5dc07eb5a6245b86f6e0ea9e97ac9a9cbae43b";

/** Returns the path of the program as it was at `EARLIER_COMMIT`. */
export function earlierBuildPath(): string {
  return join(cacheDir(), `tlsboot-${EARLIER_COMMIT.slice(0, 12)}-${hostPlatform()}`);
}

/** Builds the program as it was at `EARLIER_COMMIT`, unless it is in the cache. Must run on Deno. */
export async function ensureEarlierBuild(): Promise<void> {
  const built = earlierBuildPath();
  if (existsSync(built)) return;
  await assertHasCommit();
  await mkdir(cacheDir(), { recursive: true });
  const folder = await mkdtemp(`${built}-`);
  try {
    const archive = join(folder, "sources.tar");
    const sources = join(folder, "sources");
    await mkdir(sources);
    await mustRun("git", ["archive", "--output", archive, EARLIER_COMMIT]);
    await mustRun("tar", ["-xf", archive, "-C", sources]);
    await mustRun(process.execPath, ["install", "--frozen", "--quiet"], { cwd: sources });
    const out = join(folder, "out");
    await mustRun(process.execPath, ["task", "build", "--out", out], { cwd: sources });
    const { stdout } = await runProgram("find", [out, "-name", `tlsboot-*-${hostPlatform()}`, "-type", "f"]);
    await rename(stdout.trim(), built);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Throws an Error if the commit is not available, as in a shallow clone. */
async function assertHasCommit(): Promise<void> {
  const { code } = await runProgram("git", ["cat-file", "-e", `${EARLIER_COMMIT}^{commit}`]);
  if (code === 0) return;
  throw new Error(
    `an upgrade starts at commit ${EARLIER_COMMIT}, which this clone does not have; ` +
      `fetch it with: git fetch --depth 1 origin ${EARLIER_COMMIT}`,
  );
}
