/** The base layer of the container image: the Debian packages that the program needs, without a shell. */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun } from "../processes.ts";
import { type DebianPackages, fetchDebianPackages } from "./debian_packages.ts";
import { findFolders, type TarEntry, toTarFile } from "./released_files.ts";

/** The id of the image's user, the same as in other images without a shell. */
export const IMAGE_USER = 65_532;
/** The home of the image's user, and the default of `--data-dir` in the image. */
export const IMAGE_DATA_DIR = "data";

/** The release of Debian that the image is based on. */
export const BASE_RELEASE = "trixie";

/** The packages that the program needs to run, and those with CAs and time zones. */
const BASE: DebianPackages = {
  release: BASE_RELEASE,
  names: ["base-files", "ca-certificates", "gcc-14-base", "libc6", "libgcc-s1", "libstdc++6", "tzdata"],
  withUpdates: true,
};

/** The files that are taken from the packages. Everything else is for shells, package managers and manuals. */
const INCLUDED = [
  /^lib(?:64)?$/,
  /^usr\/lib(?:64)?\//,
  /^etc\/(?:debian_version|os-release)$/,
  /^usr\/share\/(?:zoneinfo|common-licenses)\//,
  /^usr\/share\/doc\/[^/]+(?:\/copyright)?$/,
];
/** The conversions of iconv(3), 8 MB, which Node does not use. */
const EXCLUDED = /^usr\/lib\/[^/]+\/gconv\//;
const CA_CERTIFICATES = /^usr\/share\/ca-certificates\/mozilla\/.*\.crt$/;

/** A Debian package in the layer. */
export interface BasePackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** The SHA-256 of the `.deb`, in hexadecimal. */
  readonly sha256: string;
}

/** The files of the layer, and the packages that they are from. */
interface ImageBase {
  readonly entries: readonly TarEntry[];
  readonly packages: readonly BasePackage[];
}

/** Downloads the packages to a folder, for a processor with Debian's name for it. */
export async function fetchImageBase(folder: string, architecture: string): Promise<void> {
  await fetchDebianPackages(folder, { ...BASE, architecture });
}

/** Creates the layer from the packages in a folder. Throws when one is missing or present twice. */
export async function readImageBase(folder: string): Promise<ImageBase> {
  const work = await mkdtemp(join(tmpdir(), "tlsboot-image-"));
  try {
    const files = (await readdir(folder)).filter((name) => name.endsWith(".deb")).sort();
    const packages: BasePackage[] = [];
    const status: TarEntry[] = [];
    const root = join(work, "root");
    for (const file of files) {
      const [deb, control] = [join(folder, file), join(work, file)];
      await mustRun("dpkg-deb", ["--extract", deb, root]);
      await mustRun("dpkg-deb", ["--control", deb, control]);
      const facts = await readFile(join(control, "control"));
      const described = parseControl(facts.toString(), await readFile(deb));
      packages.push(described);
      // Scanners look here for the packages of an image that has no dpkg.
      const path = `var/lib/dpkg/status.d/${described.name}`;
      status.push(toTarFile(path, facts), toTarFile(`${path}.md5sums`, await readFile(join(control, "md5sums"))));
    }
    const found = packages.map(({ name }) => name);
    if (found.join() !== BASE.names.join()) {
      throw new Error(`"${folder}" has the packages ${found.join(", ")}; want ${BASE.names.join(", ")}`);
    }
    const paths = (await listFiles(root)).toSorted();
    const taken = paths.filter((path) => INCLUDED.some((pattern) => pattern.test(path)) && !EXCLUDED.test(path));
    const certificates = paths.filter((path) => CA_CERTIFICATES.test(path));
    return {
      entries: createEntries([
        ...await Promise.all(taken.map((path) => readEntry(root, path))),
        ...status,
        // The same file as from update-ca-certificates.
        toTarFile(
          "etc/ssl/certs/ca-certificates.crt",
          Buffer.concat(await Promise.all(certificates.map((path) => readFile(join(root, path))))),
        ),
        ...SETTINGS,
      ]),
      packages,
    };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The users and groups, and nsswitch.conf, without which glibc prefers DNS to /etc/hosts. */
const SETTINGS: readonly TarEntry[] = [
  toTarFile(
    "etc/passwd",
    `root:x:0:0:root:/root:/sbin/nologin\ntlsboot:x:${IMAGE_USER}:${IMAGE_USER}:tlsboot:/${IMAGE_DATA_DIR}:/sbin/nologin\n`,
  ),
  toTarFile("etc/group", `root:x:0:\ntlsboot:x:${IMAGE_USER}:\n`),
  toTarFile("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/** The mount points of a container runtime, and the data folder, whose owner a new volume gets. */
const FOLDERS: readonly TarEntry[] = [
  ...["dev/", "proc/", "run/", "sys/"].map((path) => ({ path, mode: 0o755 })),
  { path: "tmp/", mode: 0o1777 },
  { path: `${IMAGE_DATA_DIR}/`, mode: 0o700, owner: IMAGE_USER },
];

function createEntries(files: readonly TarEntry[]): readonly TarEntry[] {
  // The root itself is not an entry of a layer.
  const folders = findFolders(files.map(({ path }) => path)).filter(({ path }) => path !== "");
  return [...folders, ...FOLDERS, ...files].sort((a, b) => a.path < b.path ? -1 : 1);
}

function parseControl(control: string, deb: Buffer): BasePackage {
  const field = (name: string): string => {
    const found = new RegExp(`^${name}: (.+)$`, "m").exec(control)?.[1];
    if (found === undefined) throw new Error(`a package has no ${name}`);
    return found;
  };
  return {
    name: field("Package"),
    version: field("Version"),
    architecture: field("Architecture"),
    sha256: hash("sha256", deb),
  };
}

/** Lists files and links below a folder. */
async function listFiles(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1));
}

async function readEntry(root: string, path: string): Promise<TarEntry> {
  const file = join(root, path);
  const { mode } = await lstat(file);
  if ((mode & 0o170000) === 0o120000) return { path, mode: 0o777, target: await readlink(file) };
  return { path, mode: mode & 0o777, data: await readFile(file) };
}
