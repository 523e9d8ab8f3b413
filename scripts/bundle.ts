/**
 * Bundles `cli/main.ts` to CommonJS, the form that the single executable embeds, and runs the result on Node: proof
 * that no source awaits at top level, reads `import.meta` or a file beside itself.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { mustRun } from "./_run.ts";
import { ensureNode } from "./node_runtime.ts";

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-bundle-"));
  try {
    const file = join(folder, "tlsboot.cjs");
    await mustRun(process.execPath, [
      "bundle",
      "--quiet",
      "--format",
      "cjs",
      "--platform",
      "deno",
      "-o",
      file,
      "cli/main.ts",
    ]);
    await mustRun(await ensureNode(), [file, "version"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
