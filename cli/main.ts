/**
 * Starts the program from its sources or from the npm package; the released file starts with `program.ts`. The program is
 * imported only after the check that this version of Node can parse it, and after the compile cache is enabled.
 */
import { lstatSync, mkdirSync } from "node:fs";
import nodeModule from "node:module";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import process from "node:process";
import { findNodeFault } from "./node_version.ts";

/** The parts of a process that the cache depends on. */
interface Host {
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  getuid?(): number;
}

/**
 * Enables Node's compile cache: scripts with their types stripped and compiled, with which the next start takes half the
 * time. Deno has a cache of its own, and the released file contains its compiled code.
 *
 * The cache is in the user's cache folder (`XDG_CACHE_HOME`, `~/.cache`). Node runs cached code without checking it, so
 * the cache is used only in a folder that no other user can write to. `NODE_COMPILE_CACHE` names another folder and
 * `NODE_DISABLE_COMPILE_CACHE=1` turns the cache off; Node itself reads both.
 */
function enableCompileCache(host: Host): void {
  const { versions, env } = host;
  if (versions["deno"] !== undefined) return;
  if (["NODE_COMPILE_CACHE", "NODE_DISABLE_COMPILE_CACHE"].some((name) => (env[name] ?? "") !== "")) return;
  try {
    const folder = createCacheFolder(host);
    if (folder !== undefined) nodeModule.enableCompileCache(folder);
  } catch {
    // On a full or read-only disk, or for a user without a home folder, the program starts without a cache.
  }
}

/** Undefined when a folder on the path belongs to another user, or when others may write to it. */
function createCacheFolder({ env, getuid }: Host): string | undefined {
  const named = env["XDG_CACHE_HOME"] ?? "";
  const base = isAbsolute(named) ? named : join(homedir(), ".cache");
  if (!isAbsolute(base)) return undefined;
  for (const folder of [dirname(base), base, join(base, "tlsboot"), join(base, "tlsboot", "compiled")]) {
    if (folder !== dirname(base)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = lstatSync(folder);
    if (getuid === undefined) continue;
    const isOwn = uid === getuid() && (mode & OTHERS_WRITE) === 0;
    if (!isOwn && !(folder === dirname(base) && isShared(uid, mode))) return undefined;
  }
  return join(base, "tlsboot", "compiled");
}

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** A folder of root in which no other user can replace the user's own folder. */
function isShared(uid: number, mode: number): boolean {
  return uid === 0 && ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0);
}

const fault = findNodeFault(process.versions);
if (fault === undefined) {
  enableCompileCache(process);
  // Not awaited: an error ends the process anyway, and no source uses top-level await.
  import("./program.ts");
} else {
  process.stderr.write(`tlsboot: error: ${fault}\n`);
  process.exitCode = 1;
}
