/**
 * `deno task build`: tlsboot as one file for each target, `dist/tlsboot-<version>-<target>`, and `dist/SHA256SUMS`. Made
 * from npm packages alone: the sources are bundled, and the bundle is put into a Node of the target.
 *
 * Usage: build.ts [--target host|all|NAME] [--out FOLDER]
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { TLSBOOT_VERSION } from "../core/version.ts";
import { toCodeCacheName } from "./build/assets.ts";
import { bundle, bundleScript, findAssets, writeBundle } from "./build/bundle.ts";
import { canHaveCodeCache, writeCodeCaches } from "./build/code_cache.ts";
import { writeExecutable } from "./build/executable.ts";
import type { Platform } from "./build/node_runtime.ts";
import { findTargets, toFileName } from "./build/targets.ts";
import { formatChecksums } from "./package/checksums.ts";
import { runScript } from "./processes.ts";

async function main(): Promise<readonly string[]> {
  const { values } = parseArgs({
    options: { target: { type: "string", default: "host" }, out: { type: "string", default: "dist" } },
  });
  return await buildReleasedFiles(findTargets(values.target), values.out);
}

/** Builds the files of some targets into a folder, with their hashes; returns their paths. */
export async function buildReleasedFiles(targets: readonly Platform[], out: string): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-build-"));
  try {
    await mkdir(out, { recursive: true });
    return await buildAll(targets, folder, out);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function buildAll(targets: readonly Platform[], folder: string, out: string): Promise<readonly string[]> {
  const made = await bundle();
  const [program, scripts, loader, nothing] = ["program", "scripts", "loader.cjs", "nothing"].map((name) =>
    join(folder, name)
  ) as [string, string, string, string];
  await mkdir(program);
  await mkdir(scripts);
  const carried = findAssets(made);
  for (const [name, source] of carried) await writeFile(join(scripts, name), source);
  await writeFile(loader, await bundleScript(join("scripts", "build", "loader.ts")));
  await writeFile(nothing, "");
  if (targets.some(canHaveCodeCache)) {
    await writeCodeCaches(await writeBundle(made, program), scripts, join(folder, "data"));
  }
  const cacheFiles = new Set(await readdir(scripts));
  const files: string[] = [];
  for (const target of targets) {
    const hasCache = (name: string) => canHaveCodeCache(target) && cacheFiles.has(toCodeCacheName(name));
    const assets = Object.fromEntries([...carried.keys()].flatMap((name) => [
      [name, join(scripts, name)],
      [toCodeCacheName(name), hasCache(name) ? join(scripts, toCodeCacheName(name)) : nothing],
    ]));
    const file = join(out, toFileName(target, TLSBOOT_VERSION));
    await writeExecutable(target, { loader, assets }, folder, file);
    files.push(file);
  }
  await writeFile(join(out, "SHA256SUMS"), await formatChecksums(out, files.map((file) => basename(file))));
  return files;
}

runScript(import.meta, main);
