/** Records the scenes, simulates a power loss at many places of each record, and checks what is left. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { mkdir, readdir, readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Random } from "../../../core/ports.ts";
import { below, createSeededRandom } from "../../support/seeded_random.ts";
import { createRecordedDisk, type DiskRecord, type RecordedDisk } from "../../support/interop/recorded_disk.ts";
import { type TempFolder, toTempFolder } from "../../support/temp.ts";
import { CHANCE, Disk, EVERYTHING, EXTREMES, type Survival, type Tree, writeTree } from "./disk.ts";
import { findCrashFaults } from "./crash_check.ts";
import { PowerLossLedger } from "./ledger.ts";
import { type Scene, SCENES } from "./scenes.ts";

interface PowerLossOptions {
  readonly folder: TempFolder;
  readonly seed: number;
  /** The number of states to check in each scene, and the number of those on which to start programs. */
  readonly states: number;
  readonly starts: number;
  /** The names of the scenes to run; all scenes if empty. */
  readonly scenes: readonly string[];
  readonly onProgress: (line: string) => void;
}

interface PowerLossReport {
  readonly records: number;
  readonly syncs: number;
  readonly promises: number;
  readonly states: number;
  readonly starts: number;
  readonly faults: readonly string[];
}

/** Records scenes, and checks them in parallel. The first state with each fault is kept in the folder. */
export async function runPowerLoss(options: PowerLossOptions): Promise<PowerLossReport> {
  const scenes = SCENES.filter(({ name }) => options.scenes.length === 0 || options.scenes.includes(name));
  // Record one scene after another, because a late mark would hide what is lost before it.
  const recorded: RecordedScene[] = [];
  for (const scene of scenes) recorded.push(await recordScene(scene, options.folder));
  const reports = await Promise.all(recorded.map(async (scene) => {
    const report = await checkScene(scene, options);
    const { records, syncs, promises, states, starts, faults } = report;
    options.onProgress(
      `${scene.scene.name}: ${records} changes, ${syncs} syncs, ${promises} promises; ` +
        `${states} states checked, ${starts} started: ${
          faults.length === 0 ? "nothing lost" : `${faults.length} faults`
        }`,
    );
    return report;
  }));
  const sum = (count: Exclude<keyof PowerLossReport, "faults">) =>
    reports.reduce((total, report) => total + report[count], 0);
  return {
    ...{ records: sum("records"), syncs: sum("syncs"), promises: sum("promises") },
    ...{ states: sum("states"), starts: sum("starts"), faults: reports.flatMap(({ faults }) => faults) },
  };
}

interface RecordedScene {
  readonly scene: Scene;
  readonly place: TempFolder;
  readonly recorded: RecordedDisk;
}

async function recordScene(scene: Scene, folder: TempFolder): Promise<RecordedScene> {
  const place = toTempFolder(folder.join(scene.name));
  await mkdir(place.path);
  const recorded = await createRecordedDisk(place);
  await scene.run(recorded, place);
  return { scene, place, recorded };
}

async function checkScene(
  { scene, place, recorded }: RecordedScene,
  { seed, onProgress, ...options }: PowerLossOptions,
): Promise<PowerLossReport> {
  const random = createSeededRandom(seed);
  const { whole, places, firstCommits, syncs } = await readWhole(recorded);
  const chosen = choosePlaces(places, firstCommits, options.states, random);
  const disk = createDisk(recorded);
  const ledger = new PowerLossLedger(recorded.root, whole);
  const seen = new Set<string>();
  const faults: string[] = [];
  const known = new Set<string>();
  let [at, starts, promises] = [0, 0, 0];
  // Fewer states are checked than chosen, because some occur twice.
  let remaining = [...chosen.values()].flat().length;
  for await (const record of recorded.read()) {
    disk.apply(record);
    ledger.apply(record, disk);
    promises = Math.max(promises, ledger.promises);
    for (const survival of chosen.get(at++) ?? []) {
      remaining--;
      const tree = disk.crash(survival, random);
      const digest = digestTree(tree);
      if (seen.has(digest + ledger.promises)) continue;
      seen.add(digest + ledger.promises);
      const name =
        `${scene.name} at change ${at} (${record.kind}), ${survival.names} of names, ${survival.content} of content`;
      const state = place.join(`state-${seen.size}`);
      await writeTree(tree, state);
      const found = [...await findCrashFaults(tree, state, ledger)];
      // Half of the starts are after the first commits, the others anywhere.
      const isDue = firstCommits.includes(at - 1) && 2 * starts < options.starts;
      if (found.length === 0 && (isDue || below(random, remaining + 1) < options.starts - starts)) {
        starts++;
        await rm(state, { recursive: true });
        await writeTree(tree, state);
        found.push(...await scene.restart(state, ledger, place));
      }
      await rm(state, { recursive: true });
      const fresh = found.filter((fault) => !known.has(fault));
      for (const fault of fresh) {
        known.add(fault);
        faults.push(`${name}: ${fault}`);
        onProgress(`! ${name}: ${fault}`);
      }
      if (fresh.length > 0) await writeTree(tree, state);
    }
  }
  return { records: places.length, syncs, promises, states: seen.size, starts, faults };
}

/** Applies the whole record. Throws an Error if the record has a gap, so that the real disk differs. */
async function readWhole(recorded: RecordedDisk) {
  const disk = createDisk(recorded);
  const whole = new PowerLossLedger(recorded.root);
  const places: DiskRecord["kind"][] = [];
  const firstCommits: number[] = [];
  const journals = new Set<number>();
  let syncs = 0;
  for await (const record of recorded.read()) {
    disk.apply(record);
    whole.apply(record, disk);
    if (record.kind === "create" && JOURNAL.test(record.path)) journals.add(record.inode);
    if (record.kind === "syncEnds") {
      syncs++;
      if (whole.promises === 0 && journals.has(record.inode)) firstCommits.push(places.length);
    }
    places.push(record.kind);
  }
  const repeated = disk.crash(EVERYTHING, createSeededRandom(0));
  const gap = findDifference(repeated, await readTree(recorded.root));
  if (gap !== undefined) throw new Error(`the record of ${recorded.root} has a gap: ${gap} differs on the real disk`);
  return { whole, places, firstCommits, syncs };
}

/** A sync of this file ends each commit of SQLite. */
const JOURNAL = /\.db-wal$/;

function createDisk({ root }: RecordedDisk): Disk {
  return new Disk(root, statSync(root).ino);
}

/**
 * Chooses where the power fails: after each commit of the first start, then at other changes in random order, up to the
 * requested number of states. At each place everything is lost or kept, or chance decides.
 */
function choosePlaces(
  places: readonly DiskRecord["kind"][],
  firstCommits: readonly number[],
  states: number,
  random: Random,
): ReadonlyMap<number, readonly Survival[]> {
  const all = places.flatMap((kind, at) => {
    const survivals = kind === "write" ? [CHANCE, CHANCE] : [...EXTREMES, CHANCE, CHANCE, CHANCE];
    return survivals.map((survival) => ({ at, survival }));
  });
  for (let index = all.length - 1; index > 0; index--) {
    const other = below(random, index + 1);
    [all[index], all[other]] = [all[other]!, all[index]!];
  }
  const first = firstCommits.map((at) => ({ at, survival: EVERYTHING }));
  const chosen = new Map<number, Survival[]>();
  for (const { at, survival } of [...first, ...all].slice(0, states)) {
    chosen.set(at, [...chosen.get(at) ?? [], survival]);
  }
  return chosen;
}

/** SQLite maps the index of its log into memory, never syncs it, and recreates it. */
const MAPPED = /\.db-shm$/;

/** Finds a path that differs between two trees. */
function findDifference(one: Tree, other: Tree): string | undefined {
  const paths = new Set([...one.folders.keys(), ...other.folders.keys(), ...one.leaves.keys(), ...other.leaves.keys()]);
  const digest = ({ leaves, folders }: Tree, path: string): string => {
    const leaf = leaves.get(path);
    return leaf === undefined
      ? `${folders.has(path)}`
      : digestTree({ folders: new Map(), leaves: new Map([[path, leaf]]) });
  };
  return [...paths].find((path) => !MAPPED.test(path) && digest(one, path) !== digest(other, path));
}

function digestTree({ folders, leaves }: Tree): string {
  const hash = createHash("sha256");
  for (const path of [...folders.keys()].sort()) hash.update(`${path}/\n`);
  for (const [path, leaf] of [...leaves].sort(([one], [other]) => one < other ? -1 : 1)) {
    hash.update(`${path}\n${leaf.kind}\n`).update(leaf.kind === "link" ? leaf.target : leaf.bytes);
  }
  return hash.digest("hex");
}

async function readTree(root: string): Promise<Tree> {
  const tree = { folders: new Map<string, number>(), leaves: new Map() };
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const full = join(entry.parentPath, entry.name);
    const path = full.slice(root.length + 1);
    if (entry.isDirectory()) tree.folders.set(path, 0);
    else if (entry.isSymbolicLink()) tree.leaves.set(path, { kind: "link", target: await readlink(full) });
    else tree.leaves.set(path, { kind: "file", bytes: await readFile(full), mode: 0 });
  }
  return tree;
}
