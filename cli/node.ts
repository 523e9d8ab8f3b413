/**
 * The check of Node's version and the folder of its compile cache, which `main.ts` needs before it loads the program. An
 * older Node must be able to parse this file.
 */
import { lstatSync, mkdirSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";

/** The parts of a process that the cache depends on. */
export interface CacheHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  getuid?(): number;
}

/** Creates the folder and returns its path. Undefined when another user owns, or can write to, a folder on the path. */
export function createCacheFolder({ env, getuid }: CacheHost, home: string): string | undefined {
  const named = env["XDG_CACHE_HOME"] ?? "";
  const base = isAbsolute(named) ? named : join(home, ".cache");
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

/** Reports whether a folder belongs to root, and no other user can replace the user's folder in it. */
function isShared(uid: number, mode: number): boolean {
  return uid === 0 && ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0);
}

/** The oldest major version of Node with the syntax (`using`) and the modules (`node:sqlite`) that the program uses. */
export const MIN_NODE_MAJOR = 24;

/** Explains in one sentence why this Node cannot run the program; undefined when it can, and on Deno. */
export function findNodeFault({ deno, node }: Readonly<Record<string, string | undefined>>): string | undefined {
  if (deno !== undefined || Number.parseInt(node ?? "", 10) >= MIN_NODE_MAJOR) return undefined;
  return `tlsboot needs Node ${MIN_NODE_MAJOR} or newer, and this is Node ${node}`;
}
