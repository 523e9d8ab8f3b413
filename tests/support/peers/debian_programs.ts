/** Programs of Debian packages that run from a separate folder, because their names are taken by other programs. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheDir, mustRun } from "../../../scripts/processes.ts";

/** Folder of a package's files, as a root would have them; downloaded once a machine by apt. */
export async function ensureDebianProgram(name: string): Promise<string> {
  const folder = join(cacheDir(), `debian-${name}`);
  if (existsSync(folder)) return folder;
  await mkdir(cacheDir(), { recursive: true });
  const work = await mkdtemp(join(cacheDir(), "debian-"));
  try {
    await mustRun("apt-get", ["-qq", "-o", "APT::Sandbox::User=root", "download", name], { cwd: work });
    const root = join(work, "root");
    for (const file of (await readdir(work)).filter((one) => one.endsWith(".deb"))) {
      await mustRun("dpkg-deb", ["--extract", join(work, file), root]);
    }
    await rename(root, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}
