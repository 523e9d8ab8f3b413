/**
 * `deno task sign --key FILE [--dist DIR]`: prepares `dist/` for a stick. It adds licences, the bill of materials and
 * `verify.sh` to the released files. `SHA256SUMS` lists them all, and minisign signs it with a secret key that is never
 * in the repository. minisign asks for the password of the key.
 *
 * `deno task sign --adopt --key FILE`, once before the files are built: writes the public key to `cli/release_key.ts` and
 * the README. After that, `deno task sign` accepts no other key.
 */
import { spawnSync } from "node:child_process";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { RELEASE_KEY } from "../../cli/release_key.ts";
import { renderLicenses } from "../../cli/sbom/licenses.ts";
import { PACKAGES } from "../../cli/sbom/packages.ts";
import { createSbomContent, renderSbom } from "../../cli/sbom/sbom.ts";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { readBuildFacts } from "../build/facts.ts";
import { readNodeVersions } from "../build/node_runtime.ts";
import { writePages } from "../docs/pages.ts";
import { runScript } from "../processes.ts";
import { formatChecksums } from "./released_files.ts";
import { parseMinisignKey, verifyMinisign } from "../../cli/release.ts";

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
  requireReleaseKey();
  const { dist } = values;
  await writeDocuments(dist);
  const comment = `tlsboot ${TLSBOOT_VERSION}`;
  runMinisign(["-S", "-s", values.key, "-m", join(dist, "SHA256SUMS"), "-t", comment]);
  await checkSignature(dist);
}

/**
 * Adds licences, bill of materials, `verify.sh` and the checksums of everything to a folder, and returns their paths.
 */
export async function writeDocuments(dist: string): Promise<readonly string[]> {
  const licenses = join(dist, "LICENSES.txt");
  await writeFile(licenses, renderLicenses());
  const content = createSbomContent({
    version: TLSBOOT_VERSION,
    build: readBuildFacts(),
    packages: PACKAGES,
    versions: await readNodeVersions(),
  });
  const sbom = join(dist, `tlsboot-${TLSBOOT_VERSION}.cdx.json`);
  await writeFile(sbom, renderSbom(content));
  const script = join(dist, "verify.sh");
  await copyFile(join("packaging", "release", "verify.sh"), script);
  await writeFile(join(dist, "SHA256SUMS"), await formatChecksums(dist, await listSigned(dist)));
  return [licenses, sbom, script];
}

/** Lists the files of a folder whose checksums are signed. */
export async function listSigned(dist: string): Promise<readonly string[]> {
  const entries = await readdir(dist, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  return names.filter((name) => !name.startsWith("SHA256SUMS"));
}

/** Runs minisign, which may ask for a password. */
function runMinisign(args: readonly string[]): void {
  const { status } = spawnSync("minisign", args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`minisign ended with ${status}`);
}

const KEY_FILE = join("cli", "release_key.ts");
const KEY_LINE = /^export const RELEASE_KEY: .*;$/m;

/** Writes the public half of a key into the source file and the README, where it replaces an earlier one. */
async function adoptKey(secretKey: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-key-"));
  try {
    const path = join(folder, "minisign.pub");
    runMinisign(["-R", "-s", secretKey, "-p", path]);
    const releaseKey = (await readFile(path, "utf8")).trim().split("\n").at(-1) ?? "";
    const text = await readFile(KEY_FILE, "utf8");
    if (!KEY_LINE.test(text)) throw new Error(`${KEY_FILE}: no line matches ${KEY_LINE}`);
    await writeFile(
      KEY_FILE,
      text.replace(KEY_LINE, `export const RELEASE_KEY: string | undefined = "${releaseKey}";`),
    );
    await writePages(process.cwd(), { releaseKey });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Returns the release key of this checkout. Throws if it has none. */
export function requireReleaseKey(): string {
  if (RELEASE_KEY !== undefined) return RELEASE_KEY;
  throw new Error(`${KEY_FILE} has no key: make one with minisign -G, and adopt it with deno task sign --adopt`);
}

/** Checks the signature of the checksums in a folder with the key of this checkout. Throws if it is wrong. */
export async function checkSignature(dist: string): Promise<void> {
  const key = parseMinisignKey(requireReleaseKey());
  if (!key.ok) throw new Error(`${KEY_FILE}: ${key.error}`);
  const sums = join(dist, "SHA256SUMS");
  const verified = verifyMinisign(await readFile(sums), await readFile(`${sums}.minisig`, "utf8"), key.value);
  if (!verified.ok) throw new Error(verified.error);
}

runScript(import.meta, main);
