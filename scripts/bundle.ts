/**
 * Bundles `cli/main.ts` as the released file carries it, and runs the result on Node: proof that no source awaits at top
 * level, reads `import.meta` or a file beside itself.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { mustRun } from "./_run.ts";
import { bundle } from "./build/bundle.ts";
import { ensureNode } from "./node_runtime.ts";

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-bundle-"));
  try {
    const file = join(folder, "tlsboot.cjs");
    await writeFile(file, (await bundle()).code);
    await mustRun(await ensureNode(), [file, "version"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
