/**
 * `deno task build`: tlsboot as one file for each target, `dist/tlsboot-<version>-<target>`, and `dist/SHA256SUMS`. Made
 * from npm packages alone: the sources are bundled, and the bundle is put into a Node of the target.
 *
 * Usage: build.ts [--target host|all|NAME] [--out FOLDER]
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import process from "node:process";
import { parseArgs } from "node:util";
import { TLSBOOT_VERSION } from "../core/version.ts";
import { defineBuild, readBuildFacts } from "./_build_facts.ts";
import { wrapBundle } from "./build/assets.ts";
import { bundle, bundleLoader } from "./build/bundle.ts";
import { canHaveCodeCache, writeCodeCache, writeNoCodeCache } from "./build/code_cache.ts";
import { writeExecutable } from "./build/executable.ts";
import { fileNameOf, type Target, targetsOf } from "./build/targets.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { target: { type: "string", default: "host" }, out: { type: "string", default: "dist" } },
  });
  const targets = targetsOf(values.target);
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-build-"));
  try {
    await mkdir(values.out, { recursive: true });
    await buildAll(targets, folder, values.out);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function buildAll(targets: readonly Target[], folder: string, out: string): Promise<void> {
  const code = defineBuild(readBuildFacts(process.cwd(), process.env)) + (await bundle()).code;
  const [program, wrapped, loader] = ["program.cjs", "bundle.js", "loader.cjs"].map((name) => join(folder, name));
  await writeFile(program!, code);
  await writeFile(wrapped!, wrapBundle(code));
  await writeFile(loader!, await bundleLoader());
  const none = await writeNoCodeCache(folder);
  const sums: string[] = [];
  for (const target of targets) {
    const name = fileNameOf(target, TLSBOOT_VERSION);
    const codeCache = canHaveCodeCache(target)
      ? await writeCodeCache({ program: program!, bundle: wrapped! }, folder)
      : none;
    await writeExecutable(target, { loader: loader!, bundle: wrapped!, codeCache }, folder, join(out, name));
    sums.push(`${await sha256Of(join(out, name))}  ${name}\n`);
    process.stdout.write(`${join(out, name)}: ${((await stat(join(out, name))).size / 1e6).toFixed(1)} MB\n`);
  }
  await writeFile(join(out, "SHA256SUMS"), sums.sort().join(""));
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
