/**
 * `deno task build`: tlsboot as one file for each target, `dist/tlsboot-<version>-<target>`, and `dist/SHA256SUMS`. Made
 * from npm packages alone: the sources are bundled, and the bundle is put into a Node of the target.
 *
 * Usage: build.ts [--target host|all|NAME] [--out FOLDER]
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { TLSBOOT_VERSION } from "../core/version.ts";
import { start } from "../tests/support/child.ts";
import { toCodeCacheName } from "./build/assets.ts";
import { bundle, bundleScript, findAssets, writeBundle } from "./build/bundle.ts";
import { writeExecutable } from "./build/executable.ts";
import { ensureNode, findTargets, hostPlatform, type Platform, toFileName } from "./build/node_runtime.ts";
import { formatChecksums } from "./package/released_files.ts";
import { runQuietly, runScript } from "./processes.ts";

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

/** Reports whether V8's code caches can be made for a target: V8 takes them from its own version and processor only. */
function canHaveCodeCache(target: Platform): boolean {
  return target === hostPlatform();
}

/**
 * The flag of V8 that makes a cache from the same scripts the same bytes each time: the seed of its hash tables, which
 * decides their order in a cache, is fixed, and nothing runs on other threads. The seed itself is not in a cache, and V8
 * takes the cache without the flag, too.
 */
const SAME_EACH_TIME = "--predictable";

/**
 * Makes caches beside the wrapped scripts in a folder, with what the commands call that a person waits for. Servers are
 * not among them: every start reads all of the caches of its scripts. The program is the bundle, as Node runs it.
 */
async function writeCodeCaches(program: string, scripts: string, data: string): Promise<void> {
  const node = await ensureNode();
  await using server = start(node, [program, "up", "--data-dir", data, "--secure-port", "0"]);
  await server.waitFor(/is up at https:\/\//);
  const commands = [["version"], ["--help"], ["get", "csr", "--data-dir", data]];
  const stdin = commands.map((words) => JSON.stringify(words)).join("\n");
  const warmUp = join(process.cwd(), "scripts", "build", "warm_up.ts");
  await runQuietly(node, [SAME_EACH_TIME, warmUp, scripts], { stdin });
}

runScript(import.meta, main);
