/**
 * `deno task sign --key FILE [--dist DIR] [--url URL]`: makes `dist/` what a stick carries. Licences, the bill of
 * materials, `verify.sh`, a formula of Homebrew and a flake of Nix come beside the files that are there, `SHA256SUMS` lists
 * them all, and minisign signs it with a secret key that is never in the repository. minisign asks for the password of the
 * key. The formula and the flake fetch the files from the URL, by default from the stick.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { RELEASE_KEY } from "../../cli/release_key.ts";
import { renderLicenses } from "../../cli/sbom/licenses.ts";
import { PACKAGES } from "../../cli/sbom/packages.ts";
import { createSbom, createSbomContent } from "../../cli/sbom/sbom.ts";
import { parseMinisignKey, verifyMinisign } from "../../core/pki/minisign.ts";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { readBuildFacts } from "../build/facts.ts";
import { readNodeVersions } from "../build/node_runtime.ts";
import { TARGETS, toFileName } from "../build/targets.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      key: { type: "string" },
      dist: { type: "string", default: "dist" },
      url: { type: "string", default: "file:///media/stick" },
    },
  });
  if (values.key === undefined) throw new Error("--key: want the secret key of minisign");
  const { dist } = values;
  await writeFile(join(dist, "LICENSES.txt"), renderLicenses());
  const content = createSbomContent({
    version: TLSBOOT_VERSION,
    build: readBuildFacts(),
    packages: PACKAGES,
    versions: await readNodeVersions(),
  });
  await writeFile(
    join(dist, `tlsboot-${TLSBOOT_VERSION}.cdx.json`),
    `${JSON.stringify(createSbom(content), null, 2)}\n`,
  );
  await copyFile(join("packaging", "release", "verify.sh"), join(dist, "verify.sh"));
  for (const path of RECIPES) await writeFile(join(dist, basename(path)), await renderRecipe(path, dist, values.url));
  const sums = join(dist, "SHA256SUMS");
  await writeFile(sums, await hashFiles(dist));
  const comment = `tlsboot ${TLSBOOT_VERSION}`;
  const { status } = spawnSync("minisign", ["-S", "-s", values.key, "-m", sums, "-t", comment], { stdio: "inherit" });
  if (status !== 0) throw new Error(`minisign ended with ${status}`);
  await checkKey(sums);
}

/** How Homebrew and Nix install a released file. */
const RECIPES = [join("packaging", "homebrew", "tlsboot.rb"), join("packaging", "nix", "flake.nix")];

/** Fills in a recipe. A target that was not built gets a sum that no file has. */
async function renderRecipe(path: string, dist: string, url: string): Promise<string> {
  let text = (await readFile(path, "utf8")).replaceAll("@version@", TLSBOOT_VERSION).replaceAll("@url@", url);
  const built = await readdir(dist);
  for (const target of TARGETS) {
    const name = toFileName(target, TLSBOOT_VERSION);
    const sum = built.includes(name) ? await hashFile(join(dist, name)) : "0".repeat(64);
    text = text.replaceAll(`@sha256:${target.name}@`, sum);
  }
  return text;
}

async function hashFile(path: string): Promise<string> {
  return createHash("sha256").update(await readFile(path)).digest("hex");
}

/** Lists the files of a folder in the format of sha256sum. */
async function hashFiles(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const lines = names.filter((name) => !name.startsWith("SHA256SUMS")).sort().map(async (name) =>
    `${await hashFile(join(folder, name))}  ${name}\n`
  );
  return (await Promise.all(lines)).join("");
}

/** A release is signed with the key that its files carry. Throws for another one. */
async function checkKey(sums: string): Promise<void> {
  if (RELEASE_KEY === undefined) {
    process.stdout.write("cli/release_key.ts has no key yet: users name the public key with --release-key\n");
    return;
  }
  const key = parseMinisignKey(RELEASE_KEY);
  if (!key.ok) throw new Error(`cli/release_key.ts: ${key.error}`);
  const verified = verifyMinisign(await readFile(sums), await readFile(`${sums}.minisig`, "utf8"), key.value);
  if (!verified.ok) throw new Error(verified.error);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
