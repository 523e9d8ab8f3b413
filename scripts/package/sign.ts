/**
 * `deno task sign --key FILE [--dist DIR]`: makes `dist/` what a stick carries. It adds licences, the bill of materials and
 * `verify.sh` to the files that are there. `SHA256SUMS` lists them all, and minisign signs it with a secret key that is
 * never in the repository. minisign asks for the password of the key.
 *
 * `deno task sign --adopt --key FILE`, once before the files are built: writes the public half of the key into
 * `cli/release_key.ts` and into the README. `deno task sign` accepts no other key.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { RELEASE_KEY } from "../../cli/release_key.ts";
import { renderLicenses } from "../../cli/sbom/licenses.ts";
import { PACKAGES } from "../../cli/sbom/packages.ts";
import { createSbom, createSbomContent } from "../../cli/sbom/sbom.ts";
import { parseMinisignKey, verifyMinisign } from "../../cli/minisign.ts";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { readBuildFacts } from "../build/facts.ts";
import { readNodeVersions } from "../build/node_runtime.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      key: { type: "string" },
      dist: { type: "string", default: "dist" },
      adopt: { type: "boolean", default: false },
    },
  });
  if (values.key === undefined) throw new Error("--key: want the secret key of minisign");
  if (values.adopt) return await adoptKey(values.key);
  const releaseKey = requireReleaseKey();
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
  const sums = join(dist, "SHA256SUMS");
  await writeFile(sums, await hashFiles(dist));
  const comment = `tlsboot ${TLSBOOT_VERSION}`;
  runMinisign(["-S", "-s", values.key, "-m", sums, "-t", comment]);
  await checkSignature(sums, releaseKey);
}

/** Runs minisign, which may ask for a password. */
function runMinisign(args: readonly string[]): void {
  const { status } = spawnSync("minisign", args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`minisign ended with ${status}`);
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

const KEY_FILE = join("cli", "release_key.ts");

/** Writes the public half of a key to where the files and the README have it, in the place of an earlier one. */
async function adoptKey(secretKey: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-key-"));
  try {
    const path = join(folder, "minisign.pub");
    runMinisign(["-R", "-s", secretKey, "-p", path]);
    const key = (await readFile(path, "utf8")).trim().split("\n").at(-1) ?? "";
    await replaceLine(
      KEY_FILE,
      /^export const RELEASE_KEY: .*;$/m,
      `export const RELEASE_KEY: string | undefined = "${key}";`,
    );
    await replaceLine(
      "README.md",
      /^(?:There is no release yet, so|Releases are signed with) .*$/m,
      `Releases are signed with the minisign key \`${key}\`.`,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function replaceLine(path: string, line: RegExp, by: string): Promise<void> {
  const text = await readFile(path, "utf8");
  if (!line.test(text)) throw new Error(`${path}: no line matches ${line}`);
  await writeFile(path, text.replace(line, by));
}

/** Returns the key that the files of this checkout carry. Throws when it has none. */
function requireReleaseKey(): string {
  if (RELEASE_KEY !== undefined) return RELEASE_KEY;
  throw new Error(`${KEY_FILE} has no key: make one with minisign -G, and adopt it with deno task sign --adopt`);
}

async function checkSignature(sums: string, releaseKey: string): Promise<void> {
  const key = parseMinisignKey(releaseKey);
  if (!key.ok) throw new Error(`${KEY_FILE}: ${key.error}`);
  const verified = verifyMinisign(await readFile(sums), await readFile(`${sums}.minisig`, "utf8"), key.value);
  if (!verified.ok) throw new Error(verified.error);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
