/**
 * Builds tlsboot with a bug of `plants.ts`, and runs the finder of the bug, which must exit with 1 and report it.
 * `deno task torture --plant all` also runs every finder on a build without a bug, where it must find nothing.
 */
import type { Plugin } from "esbuild";
import { readFileSync } from "node:fs";
import { chmod, glob, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { bundle, writeBundle } from "../../scripts/build/bundle.ts";
import { readBuildFacts } from "../../scripts/build/facts.ts";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { runAside } from "../../scripts/processes.ts";
import { createTypeCheck } from "../support/type_check.ts";
import {
  applyPatches,
  type Finder,
  findPlants,
  type Patch,
  type Plant,
  PLANT_VARIABLE,
  PLANTS,
  toCommand,
} from "./plants.ts";

/** A run of a finder on a build with its bug, or without a bug. */
interface PlantRun {
  readonly finder: Finder;
  readonly plant?: Plant;
}

/** The number of parallel runs. A run with etcd has seven programs, and runs alone. */
const LANES = 2;

/** Runs the finders of plants, for `all` also without a plant, and prints a row for each. Returns the exit code. */
export async function runPlants(names: string): Promise<number> {
  const plants = findPlants(names);
  const runs: PlantRun[] = plants.map((plant) => ({ finder: plant.finder, plant }));
  if (plants === PLANTS) {
    for (const patches of groupPatches(plants)) assertTypes(process.cwd(), patches);
    runs.push(...new Map(plants.map(({ finder }) => [toCommand(finder), { finder }])).values());
  }
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-plant-"));
  let surprises = 0;
  const runLane = async (lane: IterableIterator<PlantRun>): Promise<void> => {
    for (const run of lane) if (!await isAsExpected(folder, run)) surprises++;
  };
  try {
    process.stdout.write("| bug | found by | seconds | as |\n| --- | --- | --- | --- |\n");
    const isAlone = ({ finder }: PlantRun): boolean => finder.flags.includes("--servers");
    const together = runs.filter((run) => !isAlone(run)).values();
    await Promise.all(Array.from({ length: LANES }, () => runLane(together)));
    await runLane(runs.filter(isAlone).values());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return surprises === 0 ? 0 : 1;
}

/** Runs a finder, prints a row, and reports whether it found its bug, or nothing without a bug. */
async function isAsExpected(folder: string, { finder, plant }: PlantRun): Promise<boolean> {
  const scratch = await mkdtemp(join(folder, "p-"));
  const { task } = finder;
  const env = {
    ...task === "torture" ? { TLSBOOT_TEST_BINARY: await buildPlanted(scratch, plant?.patches ?? []) } : {},
    ...task === "test" && plant !== undefined ? createTestEnv(plant) : {},
    // Folders that finders keep are removed with this one.
    TMPDIR: scratch,
  };
  const extraFlags = plant === undefined ? [] : listExtraFlags(task, plant);
  const startedMs = performance.now();
  const { code, output } = await runAside(process.execPath, ["task", "-q", task, ...finder.flags, ...extraFlags], env);
  const seconds = (performance.now() - startedMs) / 1000;
  const lines = output.trimEnd().split("\n");
  const end = lines.slice(-END_LINES).map((line) => line.trim()).join(" / ");
  // A storm prints only the first of many faults.
  for await (const path of glob(join(scratch, "*", "violations.txt"))) {
    lines.push(...(await readFile(path, "utf8")).split("\n"));
  }
  await rm(scratch, { recursive: true, force: true });
  const isFinding = (line: string): boolean => line.startsWith(task === "test" ? "FAILED: " : INDENT);
  const found = plant === undefined
    ? code === 0 ? "nothing is found" : undefined
    : lines.filter(isFinding).map((line) => line.trim()).find((line) => plant.fault.test(line));
  const isExpected = found !== undefined && code === (plant === undefined ? 0 : 1);
  const outcome = isExpected ? found : `NOT AS EXPECTED: ${found ?? end}`;
  process.stdout.write(
    `| ${plant?.name ?? "none"} | \`${toCommand(finder)}\` | ${seconds.toFixed(0)} | ${outcome} |\n`,
  );
  return isExpected;
}

/** A storm and a simulation indent their findings below the summary. */
const INDENT = " ";

/** The number of last lines of output that are shown for a run that was not as expected. */
const END_LINES = 6;

/** Lists the flags for a run with a bug, which may keep the clients of a storm from settling. */
function listExtraFlags(task: Finder["task"], plant: Plant): readonly string[] {
  if (task === "test") return [];
  return task === "torture" ? ["--settle", "20"] : ["--plant", plant.name];
}

/** Returns the environment in which tests load sources with a bug. */
function createTestEnv({ name }: Plant): Readonly<Record<string, string>> {
  return {
    [PLANT_VARIABLE]: name,
    NODE_OPTIONS: `--import=${pathToFileURL(join("tests", "torture", "planted_sources.ts"))}`,
  };
}

/** Groups the patches of plants so that no two plants of a group patch the same file. */
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

/** Throws an Error if patched sources have type errors, because the compiler would find such a bug. */
function assertTypes(root: string, patches: readonly Patch[]): void {
  const read = (file: string) => applyPatches(file, readFileSync(join(root, file), "utf8"), patches);
  const faults = createTypeCheck(root)(new Map(patches.map(({ file }) => [file, read(file)])));
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

/** Builds the program with patches in a folder; returns the path of a script that runs it on Node 24. */
async function buildPlanted(folder: string, patches: readonly Patch[]): Promise<string> {
  const root = process.cwd();
  const entry = await writeBundle(await bundle(root, readBuildFacts(root), [createPlantPlugin(root, patches)]), folder);
  const path = join(folder, "tlsboot");
  await writeFile(path, `#!/bin/sh\nexec "${await ensureNode()}" "${entry}" "$@"\n`);
  await chmod(path, 0o700);
  return path;
}

/** Creates an esbuild plugin that applies patches to the sources as they are read. */
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
