/**
 * Downloads packages of a Debian release from the mirror that this machine's apt uses, without changing apt's lists.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { mustRun, runAside } from "../processes.ts";

/** Packages of one release to download. */
export interface DebianPackages {
  /** The code name of the release, such as `trixie`. */
  readonly release: string;
  readonly names: readonly string[];
  /** Debian's name for the processor. Default: that of this machine. */
  readonly architecture?: string;
  /** Whether to use updates and security updates, which a mirror keeps only while the release gets them. */
  readonly withUpdates?: boolean;
}

/** The format in which apt prints its sources for `findMirror`. */
const SOURCE_FORMAT = "$(REPO_URI) $(CODENAME) $(COMPONENT) $(LABEL)";
const MAIN = /^(\S+) [a-z]+ main Debian$/m;
const SECURITY = /^(\S+) [a-z]+-security main Debian-Security$/m;

/** Downloads packages as `.deb` files into a folder. Needs apt, which checks Debian's signature and each hash. */
export async function fetchDebianPackages(folder: string, packages: DebianPackages): Promise<void> {
  const { release, names, architecture, withUpdates = false } = packages;
  const work = await mkdtemp(join(tmpdir(), "tlsboot-apt-"));
  try {
    const sources = join(work, "sources.list");
    const mirror = await findMirror(MAIN);
    await writeFile(
      sources,
      [
        `deb ${mirror} ${release} main\n`,
        ...withUpdates
          ? [`deb ${mirror} ${release}-updates main\n`, `deb ${await findMirror(SECURITY)} ${release}-security main\n`]
          : [],
      ].join(""),
    );
    await mkdir(join(work, "lists", "partial"), { recursive: true });
    await mkdir(folder, { recursive: true });
    const settings = {
      "Dir::State::lists": join(work, "lists"),
      // Otherwise apt would prefer installed packages that are newer.
      "Dir::State::status": "/dev/null",
      "Dir::Cache::pkgcache": "",
      "Dir::Cache::srcpkgcache": "",
      "Dir::Etc::sourcelist": sources,
      "Dir::Etc::sourceparts": "-",
      "APT::Sandbox::User": "root",
      // The signature of an old release is no longer renewed each week.
      "Acquire::Check-Valid-Until": String(withUpdates),
      ...(architecture === undefined ? {} : { "APT::Architecture": architecture, "APT::Architectures": architecture }),
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    await mustRun("apt-get", [...options, "-qq", "update"]);
    await mustRun("apt-get", [...options, "-qq", "download", ...names], { cwd: resolve(folder) });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function findMirror(source: RegExp): Promise<string> {
  const find = async (): Promise<string | undefined> => {
    const { output } = await runAside("apt-get", ["indextargets", "--format", SOURCE_FORMAT, "Created-By: Packages"]);
    return source.exec(output)?.[1];
  };
  const known = await find();
  if (known !== undefined) return known;
  // Without lists, apt does not know the labels of its sources.
  await mustRun("apt-get", ["update", "-qq"]);
  const found = await find();
  if (found === undefined) throw new Error(`apt of this machine has no mirror of Debian: no source matches ${source}`);
  return found;
}
