/** The axes of growth: nodes that join, stored requests, watchers, and nodes that renew their Leases. */
import { onEtcd, type Setup } from "./setup.ts";
import { create, list, storm, watch } from "./load.ts";
import { type BenchInstance, since } from "./instance.ts";
import { openNodeTraffic } from "./node_traffic.ts";
import { readUsage } from "./processes.ts";

/** The measurement of one side at one count. */
export interface GrowthPoint {
  readonly count: number;
  /** The milliseconds per node, request or event. */
  readonly milliseconds: number;
  readonly megabytes: number;
  readonly cpuSeconds: number;
  /** The number of retries after a request without an answer. */
  readonly retries: number;
}

export interface Axis {
  readonly key: string;
  /** The plural noun for what is counted. */
  readonly items: string;
  readonly counts: readonly number[];
  /** The default is one server with its default storage. */
  readonly setup?: Setup;
  /** The names of the measured costs by key. */
  readonly costs: Readonly<Record<string, string>>;
  /** Measures the points of each cost, in the order of the counts. */
  measure(
    startInstance: () => Promise<BenchInstance>,
    counts: readonly number[],
    progress: (text: string) => void,
  ): Promise<Readonly<Record<string, readonly GrowthPoint[]>>>;
}

const CLIENTS = 16;
const WRITES = 20;
const MIN_RENEWALS = 2000;
const LIST_ROUNDS = 3;

export const AXES: readonly Axis[] = [
  {
    key: "nodes",
    items: "nodes at once",
    counts: [100, 1000, 5000],
    costs: { bootstrap: "bootstrap of a node" },
    measure: async (...args) => ({
      bootstrap: await measureEach(
        ...args,
        "nodes",
        (instance, count) => measurePoint(instance, count, count, () => storm(instance.bootstrapKubeconfigs, count)),
      ),
    }),
  },
  {
    key: "stored",
    items: "stored requests",
    counts: [1000, 10_000, 100_000],
    costs: { create: "creation of a request", list: "a request in a list as JSON" },
    async measure(startInstance, counts, progress) {
      const points = { create: [] as GrowthPoint[], list: [] as GrowthPoint[] };
      await using instance = await startInstance();
      let stored = 0;
      for (const count of counts) {
        progress(`${count} stored requests`);
        const more = count - stored;
        points.create.push(
          await measurePoint(instance, count, more, () => create(instance.bootstrapKubeconfigs, more, CLIENTS)),
        );
        stored = count;
        // The first list after many creations takes up to twice as long as later ones.
        await list(instance.bootstrapKubeconfigs, 1);
        points.list.push(
          await measurePoint(instance, count, count, async () => {
            const { forms, retries } = await list(instance.bootstrapKubeconfigs, LIST_ROUNDS);
            return { seconds: forms.json.p50, retries };
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
    measure: async (...args) => ({
      event: await measureEach(
        ...args,
        "watchers",
        (instance, count) =>
          measurePoint(instance, count, count, async () => {
            const { last, retries } = await watch(instance.bootstrapKubeconfigs, count, WRITES);
            return { seconds: last.p50, retries };
          }),
      ),
    }),
  },
  {
    key: "leases",
    items: "nodes with Leases on three servers",
    counts: [100, 1000, 10_000],
    setup: onEtcd(3),
    costs: { renewal: "renewal of a Lease, three servers on etcd" },
    measure: async (...args) => ({
      renewal: await measureEach(...args, "nodes", async (instance, count) => {
        await using traffic = await openNodeTraffic(instance.adminKubeconfigs, count);
        // Warm up, because a server in use does not run cold code.
        await traffic.renewLeases(MIN_RENEWALS);
        const renewals = Math.max(count, MIN_RENEWALS);
        return await measurePoint(instance, count, renewals, async () => ({
          seconds: await traffic.renewLeases(renewals),
          retries: 0,
        }));
      }),
    }),
  },
];

/** Measures each count on a separate instance. */
async function measureEach(
  startInstance: () => Promise<BenchInstance>,
  counts: readonly number[],
  progress: (text: string) => void,
  items: string,
  measureCount: (instance: BenchInstance, count: number) => Promise<GrowthPoint>,
): Promise<readonly GrowthPoint[]> {
  const points: GrowthPoint[] = [];
  for (const count of counts) {
    progress(`${count} ${items}`);
    await using instance = await startInstance();
    points.push(await measureCount(instance, count));
  }
  return points;
}

/** Measures an act on many items, and returns the cost per item. */
async function measurePoint(
  instance: BenchInstance,
  count: number,
  items: number,
  act: () => Promise<{ readonly seconds: number; readonly retries: number }>,
): Promise<GrowthPoint> {
  const before = readUsage(instance.pids);
  const { seconds, retries } = await act();
  const { cpuSeconds, peakBytes } = since(before, readUsage(instance.pids));
  return { count, milliseconds: (seconds * 1000) / items, megabytes: peakBytes / 1e6, cpuSeconds, retries };
}
