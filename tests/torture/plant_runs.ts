/**
 * Builds tlsboot with a bug of `plants.ts`, and runs the finder of the bug on the build. The bug is found when the finder
 * ends with 1 and names it; `deno task torture --plant all` also runs every finder on a build without a bug, which must
 * find nothing.
 */
import type { Plugin } from "esbuild";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import ts from "typescript";
import { bundle, writeBundle } from "../../scripts/build/bundle.ts";
import { readBuildFacts } from "../../scripts/build/facts.ts";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { runAside } from "../../scripts/processes.ts";
import { applyPatches, type Finder, findPlants, type Patch, type Plant, PLANTS, toCommand } from "./plants.ts";

/** What a run on a build says. */
interface Outcome {
  readonly isAsExpected: boolean;
  readonly seconds: number;
  /** The first line about the bug, or the end of the output when the run is not as expected. */
  readonly account: string;
}

/** Runs the finders of plants, and for all of them without a plant too; prints a row for each. Returns the exit code. */
export async function runPlants(names: string): Promise<number> {
  const plants = findPlants(names);
  const isAll = plants === PLANTS;
  const finders = isAll ? [...new Map(plants.map(({ finder }) => [toCommand(finder), finder])).values()] : [];
  if (isAll) { for (const patches of groupPatches(plants)) assertTypes(process.cwd(), patches); }
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-plant-"));
  let surprises = 0;
  const report = (name: string, finder: Finder, { isAsExpected, seconds, account }: Outcome): void => {
    if (!isAsExpected) surprises++;
    const verdict = isAsExpected ? account : `NOT AS EXPECTED: ${account}`;
    process.stdout.write(`| ${name} | \`${toCommand(finder)}\` | ${seconds.toFixed(0)} | ${verdict} |\n`);
  };
  try {
    process.stdout.write("| bug | found by | seconds | as |\n| --- | --- | --- | --- |\n");
    for (const plant of plants) report(plant.name, plant.finder, await runFinder(folder, plant.finder, plant));
    for (const finder of finders) report("none", finder, await runFinder(folder, finder, undefined));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return surprises === 0 ? 0 : 1;
}

async function runFinder(folder: string, finder: Finder, plant: Plant | undefined): Promise<Outcome> {
  const scratch = await mkdtemp(join(folder, "p-"));
  const isTorture = finder.task === "torture";
  const env = {
    ...isTorture ? { TLSBOOT_TEST_BINARY: await buildPlanted(scratch, plant?.patches ?? []) } : {},
    // The folders that finders keep go with ours.
    TMPDIR: scratch,
  };
  // A simulation runs the code of servers in its own process.
  const planted = plant === undefined || isTorture ? [] : ["--plant", plant.name];
  const startedMs = performance.now();
  const { code, output } = await runAside(
    process.execPath,
    ["task", "-q", finder.task, ...finder.flags, ...planted],
    env,
  );
  const seconds = (performance.now() - startedMs) / 1000;
  await rm(scratch, { recursive: true, force: true });
  const lines = output.trimEnd().split("\n");
  const end = lines.slice(-END_LINES).map((line) => line.trim()).join(" / ");
  if (plant === undefined) return { isAsExpected: code === 0, seconds, account: code === 0 ? "nothing is found" : end };
  // What a run finds is indented below its summary.
  const found = lines.filter((line) => line.startsWith(" ")).map((line) => line.trim()).find((line) =>
    plant.fault.test(line)
  );
  return { isAsExpected: code === 1 && found !== undefined, seconds, account: found ?? end };
}

/** The lines of a run that explain why it was not as expected. */
const END_LINES = 6;

/** Groups the patches of plants, so that those of two plants in one group are in different files: they may contradict. */
function groupPatches(plants: readonly Plant[]): readonly (readonly Patch[])[] {
  const groups: Patch[][] = [];
  for (const { patches } of plants) {
    const files = new Set(patches.map(({ file }) => file));
    const free = groups.find((group) => group.every(({ file }) => !files.has(file)));
    if (free === undefined) groups.push([...patches]);
    else free.push(...patches);
  }
  return groups;
}

/** Throws an Error when patched sources have type errors: a bug that a compiler finds shows nothing. */
function assertTypes(root: string, patches: readonly Patch[]): void {
  const files = new Map(patches.map(({ file }) => [join(root, file), file]));
  const { options } = ts.convertCompilerOptionsFromJson({
    ...JSON.parse(readFileSync(join(root, "deno.json"), "utf8")).compilerOptions,
    target: "ESNext",
    module: "ESNext",
    moduleResolution: "Bundler",
    allowImportingTsExtensions: true,
    noEmit: true,
    lib: ["ESNext", "DOM"],
    types: ["node"],
    skipLibCheck: true,
  }, root);
  const host = ts.createCompilerHost(options);
  const readFile = host.readFile.bind(host);
  host.readFile = (path) => {
    const [text, file] = [readFile(path), files.get(path)];
    return text === undefined || file === undefined ? text : applyPatches(file, text, patches);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  const faults = [...files.keys()].flatMap((path) => program.getSemanticDiagnostics(program.getSourceFile(path)));
  if (faults.length > 0) throw new Error(ts.formatDiagnostics(faults, host));
}

/** Builds the program with patches into a folder; returns the path of a file that runs it on Node 24. */
async function buildPlanted(folder: string, patches: readonly Patch[]): Promise<string> {
  const root = process.cwd();
  const entry = await writeBundle(await bundle(root, readBuildFacts(root), [createPlantPlugin(root, patches)]), folder);
  const path = join(folder, "tlsboot");
  await writeFile(path, `#!/bin/sh\nexec "${await ensureNode()}" "${entry}" "$@"\n`);
  await chmod(path, 0o700);
  return path;
}

/** Creates a plugin of esbuild that applies patches as it reads the sources. */
export function createPlantPlugin(root: string, patches: readonly Patch[]): Plugin {
  const files = new Set(patches.map(({ file }) => file));
  return {
    name: "plant",
    setup(builder) {
      const missing = new Set(files);
      builder.onLoad({ filter: /\.tsx?$/ }, async ({ path }) => {
        const file = relative(root, path);
        if (!files.has(file)) return undefined;
        missing.delete(file);
        return { contents: applyPatches(file, await readFile(path, "utf8"), patches), loader: "ts" };
      });
      builder.onEnd(() =>
        missing.size === 0 ? {} : { errors: [{ text: `${[...missing].join()} is not in the build` }] }
      );
    },
  };
}
