/** Packages of another release of Debian in a separate folder, from the mirror that this machine's apt uses. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheDir, mustRun } from "../../../scripts/processes.ts";
import { runProgram } from "../child.ts";

/** Lists of `deb.sources` and their like: where Debian's main packages come from, without its updates. */
const MAIN = /^(\S+) [a-z]+ main Debian$/m;

/**
 * Fetches packages once per machine; answers the folder that has their files as a root would. Needs apt and dpkg. A
 * release is fetched with one set of packages.
 */
export async function ensureReleasePackages(release: string, packages: readonly string[]): Promise<string> {
  const cache = cacheDir();
  const folder = join(cache, `debian-${release}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "debian-"));
  try {
    await fetchPackages(work, release, packages);
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

/** Downloads into a folder, by an apt with its own lists and settings, without an effect on this machine's. */
async function fetchPackages(folder: string, release: string, packages: readonly string[]): Promise<void> {
  const sources = join(folder, "sources.list");
  await writeFile(sources, `deb ${await findMirror()} ${release} main\n`);
  await mkdir(join(folder, "lists", "partial"), { recursive: true });
  const settings = {
    "Dir::State::lists": join(folder, "lists"),
    // The installed packages would be preferred when they are newer.
    "Dir::State::status": "/dev/null",
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "-",
    "APT::Sandbox::User": "root",
    // An old release is no longer signed anew each week.
    "Acquire::Check-Valid-Until": "false",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await mustRun("apt-get", [...options, "-qq", "update"]);
  await mustRun("apt-get", [...options, "-qq", "download", ...packages], { cwd: folder });
}

async function findMirror(): Promise<string> {
  const format = "$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)";
  const find = async (): Promise<string | undefined> => {
    const { stdout } = await runProgram("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
    return MAIN.exec(stdout)?.[1];
  };
  const known = await find();
  if (known !== undefined) return known;
  // Without lists apt does not know whose they are.
  await mustRun("apt-get", ["update", "-qq"]);
  const found = await find();
  if (found === undefined) throw new Error("apt of this machine has no mirror of Debian");
  return found;
}
