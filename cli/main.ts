/**
 * Starts the program from its sources or from the npm package. The released file starts with `run.ts`. The program is
 * imported only after this version of Node is known to parse it and the compile cache is enabled.
 */
import nodeModule from "node:module";
import { homedir } from "node:os";
import process from "node:process";
import { type CacheHost, createCacheFolder, findNodeFault } from "./node.ts";

/**
 * Enables Node's cache of compiled scripts, with which the next start takes half the time. Deno has its own cache, and
 * the released file contains compiled code.
 *
 * The cache is in the user's cache folder (`XDG_CACHE_HOME`, `~/.cache`). Node runs cached code without checking it, so
 * the cache is used only in a folder that no other user can write to. `NODE_COMPILE_CACHE` sets another folder and
 * `NODE_DISABLE_COMPILE_CACHE=1` turns the cache off; Node itself reads both.
 */
function enableCompileCache(host: CacheHost & Pick<typeof process, "versions">): void {
  const { versions, env } = host;
  if (versions["deno"] !== undefined) return;
  if (["NODE_COMPILE_CACHE", "NODE_DISABLE_COMPILE_CACHE"].some((name) => (env[name] ?? "") !== "")) return;
  try {
    const folder = createCacheFolder(host, homedir());
    if (folder !== undefined) nodeModule.enableCompileCache(folder);
  } catch {
    // The disk is full or read-only, or the user has no home folder: start without a cache.
  }
}

const fault = findNodeFault(process.versions);
if (fault === undefined) {
  enableCompileCache(process);
  // Not awaited: an error ends the process anyway, and no source uses top-level await.
  import("./run.ts").then(({ runProcess }) => runProcess(process));
} else {
  process.stderr.write(`tlsboot: error: ${fault}\n`);
  process.exitCode = 1;
}
