/** Debian packages for tests, either installed on the machine or extracted into the cache. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchDebianPackages } from "../../../scripts/package/debian_packages.ts";
import { cacheDir, mustRun } from "../../../scripts/processes.ts";

/** Installs the missing packages, which needs root and apt. Processes that do it at the same time take turns. */
export async function ensureDebianPackages(names: readonly string[]): Promise<void> {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  // apt-get fails at once while another one runs. A lock on the folder itself does not interfere with apt's own locks.
  const runApt = (...args: readonly string[]) =>
    mustRun("flock", ["/var/lib/apt", "apt-get", "-qq", ...args], { env: { DEBIAN_FRONTEND: "noninteractive" } });
  await runApt("update");
  await runApt("install", "-y", "--no-install-recommends", ...missing);
}

/** Finds a program, also in /usr/sbin, which is not on every user's PATH. */
export function findProgram(name: string): string | undefined {
  return [name, `/usr/sbin/${name}`].find((candidate) => spawnSync(candidate, ["-v"]).status === 0);
}

function isInstalled(name: string): boolean {
  const { status, stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Status}", name], { encoding: "utf8" });
  return status === 0 && stdout.endsWith(" installed");
}

/**
 * Downloads a package with apt, once for each machine, and returns the root folder of its files. Use it for programs that
 * would conflict with installed ones.
 */
export async function ensureDebianProgram(name: string): Promise<string> {
  return await ensureExtracted(
    name,
    (cwd) => mustRun("apt-get", ["-qq", "-o", "APT::Sandbox::User=root", "download", name], { cwd }),
  );
}

/**
 * Downloads packages of another Debian release, once for each machine, and returns the root folder of their files. Needs
 * apt and dpkg. Each release has only one set of packages.
 */
async function ensureReleasePackages(release: string, names: readonly string[]): Promise<string> {
  return await ensureExtracted(release, (work) => fetchDebianPackages(work, { release, names }));
}

/** Downloads and extracts packages, unless an earlier process has done it. */
async function ensureExtracted(name: string, download: (work: string) => Promise<void>): Promise<string> {
  const cache = cacheDir();
  const folder = join(cache, `debian-${name}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "debian-"));
  try {
    await download(work);
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

const OPENSSL = ["openssl", "libssl3t64", "libc6", "zlib1g", "libzstd1"];

/** Fetches OpenSSL 3.5, which has ML-DSA, and returns the path of a script that runs it with its C library. */
export async function ensureNewOpenssl(): Promise<string> {
  const root = await ensureReleasePackages("trixie", OPENSSL);
  const folder = join(root, "usr", "lib");
  const name = (await readdir(folder)).find((one) => one.endsWith("-linux-gnu"));
  if (name === undefined) throw new Error(`no libraries in ${folder}`);
  const libraries = join(folder, name);
  const loader = (await readdir(libraries)).find((one) => one.startsWith("ld-linux"));
  const script = join(root, "openssl");
  const command = `"${join(libraries, loader ?? "")}" --library-path "${libraries}" "${join(root, "usr/bin/openssl")}"`;
  await writeFile(script, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  return script;
}

/** Fetches the C libraries of the oldest release on the mirrors, with glibc 2.31. The next release has 2.36. */
export async function ensureOldLibraries(): Promise<string> {
  return await ensureReleasePackages("bullseye", ["libc6", "libgcc-s1", "libstdc++6"]);
}
