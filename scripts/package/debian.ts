/**
 * `deno task package [--dist DIR] [--revision N]`: builds a Debian package of each Linux file in `dist/`, after `deno
 * task build`. The package installs the program, its units, a system user, manual pages, completion and the licences.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { buildSeconds, readBuildFacts } from "../build/facts.ts";
import { CONTACT } from "../docs/pages.ts";
import { runScript } from "../processes.ts";
import {
  createTar,
  findFolders,
  type PackageFlags,
  parsePackageFlags,
  readLinuxPrograms,
  type TarEntry,
  toTarFile,
} from "./released_files.ts";
import { compressed, CONFIGURATION_FILE, packageFiles } from "./package_files.ts";

const SCRIPTS = ["postinst", "prerm", "postrm"];

/** Debian requires an address. RFC 2606 reserves `.invalid` for names that cannot exist. */
const MAINTAINER = `The tlsboot authors <${CONTACT === "" ? "none@tlsboot.invalid" : CONTACT}>`;

/** Writes a package next to each Linux file in a folder, and returns the paths of the packages. */
export async function writeDebianPackages({ dist, revision }: PackageFlags): Promise<readonly string[]> {
  const root = process.cwd();
  const facts = readBuildFacts(root);
  const version = `${TLSBOOT_VERSION}-${revision}`;
  const read = (name: string) => readFile(join(root, "packaging", "debian", name), "utf8");
  const others = [
    ...await packageFiles(root, facts),
    compressed("usr/share/doc/tlsboot/changelog.Debian.gz", renderChangelog(version, buildSeconds(facts))),
    toTarFile("usr/share/lintian/overrides/tlsboot", await read("lintian-overrides")),
  ];
  const control = (await read("control")).replace("@version@", version).replace("@maintainer@", MAINTAINER);
  const scripts = Object.fromEntries(await Promise.all(SCRIPTS.map(async (name) => [name, await read(name)] as const)));
  const paths: string[] = [];
  for (const { architecture, program } of await readLinuxPrograms(dist)) {
    const deb = createDeb({
      files: [{ path: "usr/bin/tlsboot", mode: 0o755, data: program }, ...others],
      control: control.replace("@architecture@", architecture),
      scripts,
      configurationFiles: [CONFIGURATION_FILE],
      modifiedSeconds: buildSeconds(facts),
    });
    const path = join(dist, `tlsboot_${version}_${architecture}.deb`);
    await writeFile(path, deb);
    paths.push(path);
  }
  return paths;
}

/** Renders Debian's own changelog (deb-changelog(5)). */
function renderChangelog(version: string, seconds: number): string {
  const date = new Date(seconds * 1000).toUTCString().replace("GMT", "+0000");
  return [
    `tlsboot (${version}) unstable; urgency=medium\n`,
    "  * See /usr/share/doc/tlsboot/changelog.gz.\n",
    ` -- ${MAINTAINER}  ${date}\n`,
  ].join("\n");
}

/** The content of a package. Paths have no leading slash. */
interface DebianPackage {
  readonly files: readonly TarEntry[];
  /** The text of `control`, with `@size@` for the installed size in kilobytes. */
  readonly control: string;
  /** The maintainer scripts postinst, prerm and postrm, by name. */
  readonly scripts: Readonly<Record<string, string>>;
  /** The paths of files that users edit, and that an upgrade keeps. */
  readonly configurationFiles: readonly string[];
  /** The modification time of all files, in seconds since 1970. */
  readonly modifiedSeconds: number;
}

/** Creates a package (deb(5), deb-control(5)) without Debian's tools. The same content gives the same bytes. */
function createDeb({ files, control, scripts, configurationFiles, modifiedSeconds }: DebianPackage): Buffer {
  const sorted = [...files].sort((a, b) => a.path < b.path ? -1 : 1);
  const kilobytes = sorted.reduce((sum, { data }) => sum + Math.ceil((data?.length ?? 0) / 1024), 0);
  const sums = sorted.flatMap(({ path, data }) => data === undefined ? [] : [`${hash("md5", data)}  ${path}\n`]);
  const controlEntries: readonly TarEntry[] = [
    { path: "./", mode: 0o755 },
    toTarFile("./conffiles", configurationFiles.map((path) => `/${path}\n`).join("")),
    toTarFile("./control", control.replace("@size@", String(kilobytes))),
    toTarFile("./md5sums", sums.join("")),
    ...Object.entries(scripts).sort().map(([name, script]) => toTarFile(`./${name}`, script, 0o755)),
  ];
  const dataEntries = [...findFolders(sorted.map(({ path }) => path)), ...sorted]
    .map((entry) => ({ ...entry, path: `./${entry.path}` }))
    .sort((a, b) => a.path < b.path ? -1 : 1);
  const compress = (entries: readonly TarEntry[]): Buffer =>
    gzipSync(createTar(entries, modifiedSeconds), { level: 9 });
  return createAr([
    { name: "debian-binary", data: Buffer.from("2.0\n") },
    { name: "control.tar.gz", data: compress(controlEntries) },
    { name: "data.tar.gz", data: compress(dataEntries) },
  ], modifiedSeconds);
}

/** A file in an `ar` archive. Names have at most 16 characters. */
interface ArMember {
  readonly name: string;
  readonly data: Uint8Array;
}

/** Creates an `ar` archive, the format of a Debian package, with one date for all members, in seconds since 1970. */
export function createAr(members: readonly ArMember[], modifiedSeconds: number): Buffer {
  const parts = members.flatMap(({ name, data }) => {
    if (name.length > 16) throw new Error(`"${name}" is too long for ar`);
    const fields = [
      name.padEnd(16),
      String(modifiedSeconds).padEnd(12),
      "0".padEnd(6),
      "0".padEnd(6),
      "100644".padEnd(8),
      String(data.length).padEnd(10),
      "`\n",
    ];
    // Members begin at even offsets.
    return [Buffer.from(fields.join(""), "latin1"), data, Buffer.from(data.length % 2 === 1 ? "\n" : "")];
  });
  return Buffer.concat([Buffer.from("!<arch>\n"), ...parts]);
}

runScript(import.meta, () => writeDebianPackages(parsePackageFlags()));
