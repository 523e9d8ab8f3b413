/**
 * `deno task rpm [--dist DIR] [--revision N]`: builds an RPM package of each Linux file in `dist/`, after `deno task
 * build`, with the files of the Debian package. Needs `rpmbuild`, which is in Debian's package `rpm`.
 */
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { buildSeconds, readBuildFacts } from "../build/facts.ts";
import { runQuietly, runScript } from "../processes.ts";
import {
  findFolders,
  type LinuxArchitecture,
  type PackageFlags,
  parsePackageFlags,
  readLinuxPrograms,
  type TarEntry,
} from "./released_files.ts";
import { CONFIGURATION_FILE, packageFiles } from "./package_files.ts";

/** RPM's names for the processors. */
const ARCHITECTURES: Readonly<Record<LinuxArchitecture, string>> = { amd64: "x86_64", arm64: "aarch64" };

/** Writes a package next to each Linux file in a folder, and returns the paths of the packages. */
export async function writeRpmPackages({ dist, revision }: PackageFlags): Promise<readonly string[]> {
  const root = process.cwd();
  const facts = readBuildFacts(root);
  // Debian has its own folder for the completion of zsh.
  const files = (await packageFiles(root, facts)).map((file) => ({
    ...file,
    path: file.path.replace("zsh/vendor-completions", "zsh/site-functions"),
  }));
  const spec = (await readFile(join(root, "packaging", "rpm", "tlsboot.spec"), "utf8"))
    .replace("@version@", TLSBOOT_VERSION).replace("@revision@", revision);
  const paths: string[] = [];
  for (const { architecture, program } of await readLinuxPrograms(dist)) {
    const target = ARCHITECTURES[architecture];
    const name = `tlsboot-${TLSBOOT_VERSION}-${revision}.${target}.rpm`;
    const work = await mkdtemp(join(tmpdir(), "tlsboot-rpm-"));
    try {
      await stage([{ path: "usr/bin/tlsboot", mode: 0o755, data: program }, ...files], join(work, "staging"));
      await writeFile(join(work, "list"), renderList(["usr/bin/tlsboot", ...files.map(({ path }) => path)]));
      const filledSpec = spec.replace("@staging@", join(work, "staging")).replace("@list@", join(work, "list"));
      await writeFile(join(work, "tlsboot.spec"), filledSpec);
      await buildRpm(work, target, buildSeconds(facts));
      await copyFile(join(work, "RPMS", target, name), join(dist, name));
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    paths.push(join(dist, name));
  }
  return paths;
}

/** Writes the files into the folder that rpmbuild copies. */
async function stage(files: readonly TarEntry[], folder: string): Promise<void> {
  for (const { path, mode, data, target } of files) {
    const to = join(folder, path);
    await mkdir(dirname(to), { recursive: true });
    if (target !== undefined) {
      await symlink(target, to);
      continue;
    }
    await writeFile(to, data ?? "");
    await chmod(to, mode);
  }
}

/** Lists the files in the format of `%files`, and the folders that belong to tlsboot alone. */
function renderList(paths: readonly string[]): string {
  const folders = findFolders(paths).map(({ path }) => path.slice(0, -1)).filter((path) =>
    /\/tlsboot(?:\/|$)/.test(path)
  );
  const lines = [
    ...folders.map((path) => `%dir /${path}\n`),
    ...paths.map((path) => `${path === CONFIGURATION_FILE ? "%config(noreplace) " : ""}/${path}\n`),
  ];
  return `%defattr(-,root,root)\n${lines.sort().join("")}`;
}

/** Runs rpmbuild so that the same files always give the same bytes. */
async function buildRpm(work: string, target: string, seconds: number): Promise<void> {
  const macros = {
    _topdir: work,
    _buildhost: "tlsboot",
    use_source_date_epoch_as_buildtime: "1",
    clamp_mtime_to_source_date_epoch: "1",
  };
  const defines = Object.entries(macros).flatMap(([name, value]) => ["--define", `${name} ${value}`]);
  const args = ["-bb", "--target", `${target}-linux`, ...defines, join(work, "tlsboot.spec")];
  await runQuietly("rpmbuild", args, { env: { SOURCE_DATE_EPOCH: String(seconds) } });
}

runScript(import.meta, () => writeRpmPackages(parsePackageFlags()));
