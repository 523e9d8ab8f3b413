/**
 * `deno task build`: tlsboot as one file for each target, `dist/tlsboot-<version>-<target>`, and `dist/SHA256SUMS`. Made
 * from npm packages alone: the sources are bundled, and the bundle is put into a Node of the target.
 *
 * Usage: build.ts [--target host|all|NAME] [--out FOLDER]
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import process from "node:process";
import { parseArgs } from "node:util";
import { TLSBOOT_VERSION } from "../core/version.ts";
import { toCodeCacheName } from "./build/assets.ts";
import { bundle, bundleScript, findAssets, writeBundle } from "./build/bundle.ts";
import { canHaveCodeCache, writeCodeCaches } from "./build/code_cache.ts";
import { writeExecutable } from "./build/executable.ts";
import type { Platform } from "./build/node_runtime.ts";
import { findTargets, toFileName } from "./build/targets.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { target: { type: "string", default: "host" }, out: { type: "string", default: "dist" } },
  });
  const targets = findTargets(values.target);
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-build-"));
  try {
    await mkdir(values.out, { recursive: true });
    await buildAll(targets, folder, values.out);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function buildAll(targets: readonly Platform[], folder: string, out: string): Promise<void> {
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
  const sums: string[] = [];
  for (const target of targets) {
    const hasCache = (name: string) => canHaveCodeCache(target) && cacheFiles.has(toCodeCacheName(name));
    const assets = Object.fromEntries([...carried.keys()].flatMap((name) => [
      [name, join(scripts, name)],
      [toCodeCacheName(name), hasCache(name) ? join(scripts, toCodeCacheName(name)) : nothing],
    ]));
    const file = join(out, toFileName(target, TLSBOOT_VERSION));
    await writeExecutable(target, { loader, assets }, folder, file);
    sums.push(`${await hashFile(file)}  ${basename(file)}\n`);
    process.stdout.write(`${file}: ${((await stat(file)).size / 1e6).toFixed(1)} MB\n`);
  }
  await writeFile(join(out, "SHA256SUMS"), sums.sort().join(""));
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
