/** Packages of another release of Debian in a separate folder, from the mirror that this machine's apt uses. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fetchDebianPackages } from "../../../scripts/package/debian_packages.ts";
import { cacheDir, mustRun } from "../../../scripts/processes.ts";

/**
 * Fetches packages once per machine, without updates; answers the folder that has their files as a root would. Needs apt
 * and dpkg. A release is fetched with one set of packages.
 */
export async function ensureReleasePackages(release: string, packages: readonly string[]): Promise<string> {
  const cache = cacheDir();
  const folder = join(cache, `debian-${release}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "debian-"));
  try {
    await fetchDebianPackages(work, { release, names: packages });
    const root = join(work, "root");
    for (const name of (await readdir(work)).filter((file) => file.endsWith(".deb"))) {
      await mustRun("dpkg-deb", ["--extract", join(work, name), root]);
    }
    await rename(root, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}
