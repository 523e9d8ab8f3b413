/** Packages of Debian that tests need: installed where they are missing. */
import { spawnSync } from "node:child_process";
import { mustRun } from "../../../scripts/processes.ts";

/** Installs the packages that are missing; needs root and apt then. */
export async function ensureDebianPackages(names: readonly string[]): Promise<void> {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await mustRun("apt-get", ["update", "-qq"], { env });
  await mustRun("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { env });
}

/** Finds a program of a package; undefined where it is missing. Debian's folder of servers is not on every user's PATH. */
export function findProgram(name: string): string | undefined {
  return [name, `/usr/sbin/${name}`].find((candidate) => spawnSync(candidate, ["-v"]).status === 0);
}

function isInstalled(name: string): boolean {
  const { status, stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Status}", name], { encoding: "utf8" });
  return status === 0 && stdout.endsWith(" installed");
}
