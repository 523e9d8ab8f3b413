/**
 * What Node makes of scripts — types stripped, code compiled — kept for the next start, which takes half the time then.
 * Deno does so by itself, and the released file carries what it needs.
 */
import { lstatSync, mkdirSync } from "node:fs";
import nodeModule from "node:module";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

/** The little of a process that is looked at. */
interface Host {
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  getuid?(): number;
}

/**
 * Begins to keep it, in the user's cache folder (`XDG_CACHE_HOME`, `~/.cache`). Compiled code is run as it is found, so
 * it is kept only where nobody else could have put it. `NODE_COMPILE_CACHE` names another folder and
 * `NODE_DISABLE_COMPILE_CACHE=1` turns it off, both by Node itself.
 */
export function keepCompiled(host: Host): void {
  const { versions, env } = host;
  if (versions["deno"] !== undefined) return;
  if (["NODE_COMPILE_CACHE", "NODE_DISABLE_COMPILE_CACHE"].some((name) => (env[name] ?? "") !== "")) return;
  try {
    const folder = cacheFolder(host);
    if (folder !== undefined) nodeModule.enableCompileCache(folder);
  } catch {
    // A disk that is full or read-only, a user without a home: the program starts without.
  }
}

/** Undefined where a folder on the way to it is somebody else's, or others may write there. */
function cacheFolder({ env, getuid }: Host): string | undefined {
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

/** A folder of root, where nobody can put another in the place of one's own. */
function isShared(uid: number, mode: number): boolean {
  return uid === 0 && ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0);
}
