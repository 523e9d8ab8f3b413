/** A later build of the released file for tests of upgrades, and variants of it that fail. */
import { Buffer } from "node:buffer";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { RELEASE_KEY } from "../../../cli/release_key.ts";
import { TLSBOOT_VERSION } from "../../../core/version.ts";
import { toCodeCacheName } from "../../../scripts/build/assets.ts";
import { bundle, bundleScript, findAssets } from "../../../scripts/build/bundle.ts";
import { writeExecutable } from "../../../scripts/build.ts";
import { readBuildFacts } from "../../../scripts/build/facts.ts";
import { hostPlatform } from "../../../scripts/build/node_runtime.ts";
import { createPlantPlugin } from "../../torture/plant_runs.ts";

/** The version of the second build. */
export const LATER_VERSION = "9.1.0";

/** Constants in the second build that a variant replaces, so that it differs in only a few bytes. */
const SWITCHES = {
  serverFails: ["switch:up-works", "switch:up-fails"],
  formatIsRaised: ["switch:format-1", "switch:format-2"],
} as const;

const toPatches = (releaseKey: string) => [
  {
    file: "cli/release_key.ts",
    before: `RELEASE_KEY: string | undefined = ${JSON.stringify(RELEASE_KEY)};`,
    after: `RELEASE_KEY = "${releaseKey}";`,
  },
  {
    file: "core/version.ts",
    before: `TLSBOOT_VERSION = "${TLSBOOT_VERSION}"`,
    after: `TLSBOOT_VERSION = "${LATER_VERSION}"`,
  },
  {
    file: "instance/data_dir.ts",
    before: "DATA_FORMAT = 1;",
    after: `DATA_FORMAT = Number("${SWITCHES.formatIsRaised[0]}".slice(-1));`,
  },
  {
    file: "cli/commands/up/run.ts",
    before: "export async function run(",
    after: [
      `if ("${SWITCHES.serverFails[0]}".endsWith("fails")) throw new Error("planted");`,
      "export async function run(",
    ].join("\n"),
  },
];

/**
 * Makes the second build for this machine with a release key, and returns its path. It has no code caches, so changes to
 * its source text take effect.
 */
export async function makeSecondBuild(folder: string, releaseKey: string): Promise<string> {
  const root = process.cwd();
  const scripts = join(folder, "scripts");
  await mkdir(scripts, { recursive: true });
  const scriptAssets = findAssets(
    await bundle(root, readBuildFacts(root), [createPlantPlugin(root, toPatches(releaseKey))]),
  );
  for (const [name, source] of scriptAssets) await writeFile(join(scripts, name), source);
  const [loader, empty] = [join(folder, "loader.cjs"), join(folder, "empty")];
  await writeFile(loader, await bundleScript(join("scripts", "build", "loader.ts")));
  await writeFile(empty, "");
  const assets = Object.fromEntries([...scriptAssets.keys()].flatMap((name) => [
    [name, join(scripts, name)],
    [toCodeCacheName(name), empty],
  ]));
  const file = join(folder, "second");
  await writeExecutable(hostPlatform(), { loader, assets }, folder, file);
  return file;
}

/** Writes a variant of the second build. */
export async function writeVariant(second: string, variant: keyof typeof SWITCHES, path: string): Promise<void> {
  const [before, after] = SWITCHES[variant];
  const bytes = await readFile(second);
  const at = bytes.indexOf(before);
  if (at < 0) throw new Error(`the second build has no "${before}"`);
  Buffer.from(after).copy(bytes, at);
  await writeFile(path, bytes);
  await chmod(path, 0o755);
}
