/** The three things that grow: nodes, stored requests, watchers. */
import type { GrowthPoint } from "./growth.ts";
import { create, list, storm, watch } from "./load.ts";
import { usageOf } from "./processes.ts";
import { since, type Site } from "./site.ts";

/** Something that grows. */
export interface Axis {
  readonly key: string;
  /** What is counted. */
  readonly items: string;
  readonly counts: readonly number[];
  /** The costs that it answers, in words, by key. */
  readonly costs: Readonly<Record<string, string>>;
  /** Points of each cost, in the order of the counts. */
  measure(
    startSite: () => Promise<Site>,
    counts: readonly number[],
    progress: (text: string) => void,
  ): Promise<Readonly<Record<string, readonly GrowthPoint[]>>>;
}

const CLIENTS = 16;
const WRITES = 20;
const LIST_ROUNDS = 3;

/** All of them. */
export const AXES: readonly Axis[] = [
  {
    key: "nodes",
    items: "nodes at once",
    counts: [100, 1000, 5000],
    costs: { bootstrap: "bootstrap of a node" },
    async measure(startSite, counts, progress) {
      const bootstrap: GrowthPoint[] = [];
      for (const count of counts) {
        progress(`${count} nodes`);
        await using site = await startSite();
        const costOf = async () => ((await storm(site.bootstrapKubeconfig, count)).seconds * 1000) / count;
        bootstrap.push(await pointOf(site, count, costOf));
      }
      return { bootstrap };
    },
  },
  {
    key: "stored",
    items: "stored requests",
    counts: [1000, 10_000, 100_000],
    costs: { create: "creation of a request", list: "a request in a list as JSON" },
    async measure(startSite, counts, progress) {
      const points = { create: [] as GrowthPoint[], list: [] as GrowthPoint[] };
      await using site = await startSite();
      let stored = 0;
      for (const count of counts) {
        progress(`${count} stored requests`);
        const more = count - stored;
        points.create.push(
          await pointOf(site, count, async () => {
            return ((await create(site.bootstrapKubeconfig, more, CLIENTS)).seconds * 1000) / more;
          }),
        );
        stored = count;
        points.list.push(
          await pointOf(site, count, async () => {
            return ((await list(site.bootstrapKubeconfig, LIST_ROUNDS)).forms.json.p50 * 1000) / count;
          }),
        );
      }
      return points;
    },
  },
  {
    key: "watchers",
    items: "watchers",
    counts: [10, 1000, 5000],
    costs: { event: "a write seen by all watchers, for each of them" },
    async measure(startSite, counts, progress) {
      const event: GrowthPoint[] = [];
      for (const count of counts) {
        progress(`${count} watchers`);
        await using site = await startSite();
        const costOf = async () => ((await watch(site.bootstrapKubeconfig, count, WRITES)).last.p50 * 1000) / count;
        event.push(await pointOf(site, count, costOf));
      }
      return { event };
    },
  },
];

async function pointOf(site: Site, count: number, costOf: () => Promise<number>): Promise<GrowthPoint> {
  const before = usageOf(site.pids);
  const milliseconds = await costOf();
  const { cpuSeconds, peakBytes } = since(before, usageOf(site.pids));
  return { count, milliseconds, megabytes: peakBytes / 1e6, cpuSeconds };
}
