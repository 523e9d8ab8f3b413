/**
 * `deno task package [--dist DIR] [--revision N]`: a Debian package of each Linux file in `dist/`, after `deno task build`.
 * It installs the program, its units, a system user, manual pages, completion and the licences.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { buildSeconds, readBuildFacts } from "../build/facts.ts";
import { CONTACT } from "../docs/pages.ts";
import { runScript } from "../processes.ts";
import { createDeb } from "./deb.ts";
import { compressed, CONFIGURATION_FILE, file, packageFiles, readEdition } from "./package_files.ts";
import { type PackageFlags, parsePackageFlags, readLinuxPrograms } from "./linux_programs.ts";

const SCRIPTS = ["postinst", "prerm", "postrm"];

/** Debian wants an address. RFC 2606 reserves `.invalid` for those that cannot exist. */
const MAINTAINER = `The tlsboot authors <${CONTACT === "" ? "none@tlsboot.invalid" : CONTACT}>`;

/** Writes the package of each Linux file in a folder next to it; returns the paths. */
export async function writeDebianPackages({ dist, revision }: PackageFlags): Promise<readonly string[]> {
  const root = process.cwd();
  const facts = readBuildFacts(root);
  const version = `${TLSBOOT_VERSION}-${revision}`;
  const read = (name: string) => readFile(join(root, "packaging", "debian", name), "utf8");
  const beside = [
    ...await packageFiles(root, readEdition(facts)),
    compressed("usr/share/doc/tlsboot/changelog.Debian.gz", renderChangelog(version, buildSeconds(facts))),
    file("usr/share/lintian/overrides/tlsboot", await read("lintian-overrides")),
  ];
  const control = (await read("control")).replace("@version@", version).replace("@maintainer@", MAINTAINER);
  const scripts = Object.fromEntries(await Promise.all(SCRIPTS.map(async (name) => [name, await read(name)] as const)));
  const paths: string[] = [];
  for (const { architecture, program } of await readLinuxPrograms(dist)) {
    const deb = createDeb({
      files: [{ path: "usr/bin/tlsboot", mode: 0o755, data: program }, ...beside],
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

runScript(import.meta, () => writeDebianPackages(parsePackageFlags()));
