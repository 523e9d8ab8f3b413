/**
 * Our test programs with npm packages that are not dependencies of the project. Each is a folder below tests/interop/peers
 * with its own package.json and lock file, installed outside the checkout once for each machine.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { cacheDir, mustRun } from "../../../scripts/processes.ts";

const NAMES = ["client-node"];

/** Returns the folder of an installed program. It contains a hash of the sources, so changes reinstall it. */
export function npmPeerPath(name: string): string {
  const folder = toSourceFolder(name);
  const hash = createHash("sha256");
  for (const file of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, file)));
  return join(cacheDir(), `${name}-${hash.digest("hex").slice(0, 12)}`);
}

/** Installs missing packages, exactly as locked. */
export async function ensureNpmPeers(): Promise<void> {
  for (const name of NAMES) {
    const path = npmPeerPath(name);
    if (existsSync(path)) continue;
    process.stdout.write(`installing ${name}\n`);
    const unfinished = `${path}.new`;
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(dirname(path), { recursive: true });
    await cp(toSourceFolder(name), unfinished, { recursive: true });
    await mustRun("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: unfinished,
    });
    // An interrupted installation leaves no incomplete folder behind.
    await rename(unfinished, path);
  }
}

function toSourceFolder(name: string): string {
  return join(process.cwd(), "tests", "interop", "peers", name);
}
