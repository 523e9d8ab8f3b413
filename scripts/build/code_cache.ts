/** V8's code caches for the scripts of the bundle. */
import { join } from "node:path";
import process from "node:process";
import { start } from "../../tests/support/child.ts";
import { runQuietly } from "../processes.ts";
import { ensureNode, hostPlatform, type Platform } from "./node_runtime.ts";

/** Reports whether caches can be made for a target: V8 takes them from its own version and processor only. */
export function canHaveCodeCache(target: Platform): boolean {
  return target === hostPlatform();
}

/**
 * The flag of V8 that makes a cache from the same scripts the same bytes each time: the seed of its hash tables, which
 * decides their order in a cache, is fixed, and nothing runs on other threads. The seed itself is not in a cache, and V8
 * takes the cache without the flag, too.
 */
const SAME_EACH_TIME = "--predictable";

/**
 * Makes caches beside the wrapped scripts in a folder, with what the commands call that a person waits for. Servers are
 * not among them: every start reads all of the caches of its scripts. The program is the bundle, as Node runs it.
 */
export async function writeCodeCaches(program: string, scripts: string, data: string): Promise<void> {
  const node = await ensureNode();
  await using server = start(node, [program, "up", "--data-dir", data, "--secure-port", "0"]);
  await server.waitFor(/is up at https:\/\//);
  const commands = [["version"], ["--help"], ["get", "csr", "--data-dir", data]];
  const stdin = commands.map((words) => JSON.stringify(words)).join("\n");
  const warmUp = join(process.cwd(), "scripts", "build", "warm_up.ts");
  await runQuietly(node, [SAME_EACH_TIME, warmUp, scripts], { stdin });
}
