/**
 * `deno task package [--dist DIR] [--revision N]`: a Debian package of each Linux file in `dist/`, after `deno task build`.
 * It installs the program, its units, a system user, manual pages, completion and the licences.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { buildSeconds, readBuildFacts } from "../build/facts.ts";
import { createDeb } from "./deb.ts";
import { CONFIGURATION_FILE, packageFiles, readEdition } from "./package_files.ts";
import { parsePackageFlags, readLinuxPrograms } from "./linux_programs.ts";

const SCRIPTS = ["postinst", "prerm", "postrm"];

async function main(): Promise<void> {
  const { dist, revision } = parsePackageFlags();
  const root = process.cwd();
  const facts = readBuildFacts(root);
  const version = `${TLSBOOT_VERSION}-${revision}`;
  const beside = await packageFiles(root, readEdition(facts));
  const control = await readFile(join(root, "packaging", "debian", "control"), "utf8");
  const scripts = Object.fromEntries(
    await Promise.all(
      SCRIPTS.map(async (name) => [name, await readFile(join(root, "packaging", "debian", name), "utf8")] as const),
    ),
  );
  for (const { architecture, program } of await readLinuxPrograms(dist)) {
    const deb = createDeb({
      files: [{ path: "usr/bin/tlsboot", mode: 0o755, data: program }, ...beside],
      control: control.replace("@version@", version).replace("@architecture@", architecture),
      scripts,
      configurationFiles: [CONFIGURATION_FILE],
      modifiedSeconds: buildSeconds(facts),
    });
    const path = join(dist, `tlsboot_${version}_${architecture}.deb`);
    await writeFile(path, deb);
    process.stdout.write(`${path}: ${(deb.length / 1e6).toFixed(1)} MB\n`);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
