/**
 * What Node makes of scripts — types stripped, code compiled — kept for the next start, which takes half the time then.
 * Deno does so by itself, and the released file carries what it needs.
 */
import { mkdirSync, statSync } from "node:fs";
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
 * it is kept only where nobody else could have put it. `NODE_DISABLE_COMPILE_CACHE=1` turns it off.
 */
export function keepCompiled(host: Host): void {
  if (host.versions["deno"] !== undefined) return;
  const folder = cacheFolder(host);
  if (folder !== undefined) nodeModule.enableCompileCache(join(folder, "tlsboot", "compiled"));
}

/** Undefined where there is none that is the user's own: a program starts without. */
function cacheFolder({ env, getuid }: Host): string | undefined {
  const named = env["XDG_CACHE_HOME"] ?? "";
  try {
    const folder = isAbsolute(named) ? named : join(homedir(), ".cache");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (getuid === undefined) return folder;
    const [own, above] = [statSync(folder).uid, statSync(dirname(folder)).uid];
    return own === getuid() && (above === own || above === 0) ? folder : undefined;
  } catch {
    return undefined;
  }
}
