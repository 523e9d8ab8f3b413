/** `deno task bench profile`: where our server spends its time, from the sources with Node's profiler. */
import { readdir, readFile } from "node:fs/promises";
import process from "node:process";
import { createTempFolder } from "../support/temp.ts";
import type { Bench } from "./bench.ts";
import { create, list, page, storm, watch } from "./load.ts";
import { startOurInstance } from "./our_instance.ts";
import { type CpuProfile, findHotspots, type Hotspots, type Ranking } from "./profile.ts";
import { sourceProgram } from "./program.ts";
import type { Section } from "./section.ts";
import type { BenchInstance } from "./instance.ts";

/** The loads that can be profiled, with their designed counts. */
const LOADS: Readonly<
  Record<string, (instance: BenchInstance, scaled: (count: number) => number) => Promise<unknown>>
> = {
  storm: (instance, scaled) => storm(instance.bootstrapKubeconfigs, scaled(1000)),
  create: (instance, scaled) => create(instance.bootstrapKubeconfigs, scaled(10_000), 16),
  async list(instance, scaled) {
    await create(instance.bootstrapKubeconfigs, scaled(10_000), 16);
    await list(instance.bootstrapKubeconfigs, 10);
    await page(instance.bootstrapKubeconfigs, 500);
  },
  watch: (instance, scaled) => watch(instance.bootstrapKubeconfigs, scaled(1000), 50),
};

/** The number of rows of each ranking. */
const SHOWN = 40;

export async function runProfile({ options, node, progress, machine }: Bench): Promise<Section> {
  const [name = "storm", ...more] = options.words;
  const load = Object.hasOwn(LOADS, name) && more.length === 0 ? LOADS[name] : undefined;
  if (load === undefined) {
    throw new Error(`cannot profile "${options.words.join(" ")}": want one of ${Object.keys(LOADS).join(", ")}`);
  }
  await using folder = await createTempFolder();
  progress(`profile of ${name}`);
  {
    await using instance = await startOurInstance(sourceProgram(node, ["--cpu-prof", `--cpu-prof-dir=${folder.path}`]));
    await load(instance, (count) => Math.max(1, Math.round(count * options.scale)));
    await instance.stop();
  }
  const hotspots = findHotspots(await readProfile(folder.path), process.cwd());
  return {
    command: "profile",
    title: `Profile of ${name}`,
    machine: machine(),
    settings:
      `Busy for ${seconds(hotspots.busyMs)} and idle for ${seconds(hotspots.idleMs)}, including the start. A call ` +
      "that waits for a disk or the processor counts as busy.",
    head: ["time", "ms", "%", "where"],
    rows: [
      ...toRows("self", hotspots.self, hotspots),
      ...toRows("with callees", hotspots.inclusive, hotspots),
      ...toRows("file", hotspots.files, hotspots),
    ],
    pictures: [],
    data: hotspots,
  };
}

function toRows(kind: string, ranking: Ranking, { busyMs }: Hotspots): readonly (readonly string[])[] {
  return ranking.slice(0, SHOWN).map(([where, ms]) => [kind, ms.toFixed(0), ((100 * ms) / busyMs).toFixed(1), where]);
}

/**
 * Reads the profile of the server. Node writes one for the main thread and one for each worker when the server ends;
 * the largest is that of the main thread.
 */
async function readProfile(folder: string): Promise<CpuProfile> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".cpuprofile"));
  const texts = await Promise.all(names.map((name) => readFile(`${folder}/${name}`, "utf8")));
  const [largest] = texts.sort((one, other) => other.length - one.length);
  if (largest === undefined) throw new Error("the server left no profile");
  return JSON.parse(largest) as CpuProfile;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
