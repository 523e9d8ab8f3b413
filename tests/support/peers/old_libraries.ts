/**
 * The C libraries of an old Debian, from the mirror that this machine's apt uses: what the released file must do with.
 * They are in a separate folder, once per machine.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheDir, mustRun } from "../../../scripts/processes.ts";
import { runProgram } from "../child.ts";

/** The oldest release that mirrors still have, with glibc 2.31. The next one is bookworm, with 2.36. */
const RELEASE = "bullseye";
const PACKAGES = ["libc6", "libgcc-s1", "libstdc++6"];

/** Lists of `deb.sources` and their like: where Debian's main packages come from, without its updates. */
const MAIN = /^(\S+) [a-z]+ main Debian$/m;

/** Fetches the libraries where they are missing; answers the folder that has them as a root would. Needs apt and dpkg. */
export async function ensureOldLibraries(): Promise<string> {
  const cache = cacheDir();
  const folder = join(cache, `debian-${RELEASE}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "debian-"));
  try {
    await fetchPackages(work);
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
async function fetchPackages(folder: string): Promise<void> {
  const sources = join(folder, "sources.list");
  await writeFile(sources, `deb ${await findMirror()} ${RELEASE} main\n`);
  await mkdir(join(folder, "lists", "partial"), { recursive: true });
  const settings = {
    "Dir::State::lists": join(folder, "lists"),
    // The installed packages are newer, and would be preferred.
    "Dir::State::status": "/dev/null",
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "-",
    "APT::Sandbox::User": "root",
    // The release is no longer signed anew each week.
    "Acquire::Check-Valid-Until": "false",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await mustRun("apt-get", [...options, "-qq", "update"]);
  await mustRun("apt-get", [...options, "-qq", "download", ...PACKAGES], { cwd: folder });
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
