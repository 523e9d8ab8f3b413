/**
 * Bundles `cli/program.ts` as the released file carries it, and runs the result on Node: proof that no source awaits at
 * top level, reads `import.meta` or a file beside itself.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun, runScript } from "./processes.ts";
import { bundle, writeBundle } from "./build/bundle.ts";
import { ensureNode } from "./build/node_runtime.ts";

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-bundle-"));
  try {
    await mustRun(await ensureNode(), [await writeBundle(await bundle(), folder), "version"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

runScript(import.meta, main);
