/** V8's code cache for the bundle. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { start } from "../../tests/support/child.ts";
import { runQuietly } from "../_run.ts";
import { ensureNode, hostPlatform, NODE_VERSIONS } from "../node_runtime.ts";
import type { Target } from "./targets.ts";

/** What the cache is made from. */
export interface CodeCacheSource {
  /** The bundle as it runs on Node. */
  readonly program: string;
  /** The bundle, wrapped. */
  readonly bundle: string;
}

/** True where a cache can be made: V8 takes one from its own version and processor only. */
export function canHaveCodeCache({ platform, nodeVersion }: Target): boolean {
  return platform === hostPlatform() && nodeVersion === NODE_VERSIONS[platform];
}

/**
 * Makes the cache, with what the commands call that a person waits for. Servers are not among them: they would treble
 * it, and every start reads all of it.
 */
export async function writeCodeCache({ program, bundle }: CodeCacheSource, folder: string): Promise<string> {
  const node = await ensureNode();
  const [data, cache] = [join(folder, "data"), join(folder, "tlsboot.cache")];
  await using server = start(node, [program, "up", "--data-dir", data, "--secure-port", "0"]);
  await server.waitFor(/is up at https:\/\//);
  const commands = [["version"], ["--help"], ["get", "csr", "--data-dir", data]];
  const lines = commands.map((words) => JSON.stringify(words)).join("\n");
  await runQuietly(node, [join(process.cwd(), "scripts", "build", "warm_up.ts"), bundle, cache], lines);
  return cache;
}

/** An empty cache, which V8 does without. */
export async function writeNoCodeCache(folder: string): Promise<string> {
  const cache = join(folder, "none.cache");
  await writeFile(cache, "");
  return cache;
}
