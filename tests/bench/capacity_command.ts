/** `deno task bench capacity`: the CPU time of each kind of request that a node sends, by storage. */
import type { Bench } from "./bench.ts";
import { storm } from "./load.ts";
import { openNodeTraffic } from "./node_traffic.ts";
import { startOurServers } from "./our_servers.ts";
import { startOurInstance } from "./our_instance.ts";
import { runRounds } from "./measure.ts";
import { startPeerInstance } from "./peer_instance.ts";
import type { Program } from "./program.ts";
import { formatNumber, formatRetries, formatRounds } from "./report.ts";
import type { Section } from "./section.ts";
import { type BenchInstance, usedBy, usedSince } from "./instance.ts";
import { findMedian } from "./stats.ts";

/** The number of requests of each kind at scale 1. */
const COUNTS = { renewals: 6_000, patches: 2_000, joins: 300 };
const SERVERS_ON_ETCD = 3;

/** CPU milliseconds of one act. */
interface Cost {
  readonly servers: number;
  readonly etcd: number;
  readonly perSecond: number;
  /** The number of retries after a request without an answer. */
  readonly retries: number;
}

const ACTS = ["renew a Lease", "patch a status", "join"];

export async function runCapacity(
  { options: { rounds, scale }, program, progress, machine }: Bench,
): Promise<Section> {
  const setups = listSetups(await program()).map(([name, start]) => ({ name, run: () => measureActs(start, scale) }));
  const runs = await runRounds(setups, rounds, progress);
  const reports = setups.map(({ name }, setup) => ({
    setup: name,
    acts: ACTS.map((act, index) => ({ name: act, costs: runs[setup]!.map((costs) => costs[index]!) })),
  }));
  return {
    command: "capacity",
    title: "What a node costs",
    machine: machine(),
    settings: "CPU milliseconds for each act, of all servers together and of etcd, from /proc. " +
      `${formatRounds(rounds)} 16 connections that stay open, JSON, as administrator; a join is a whole bootstrap ` +
      "over its own TLS connection, approved and signed.",
    head: ["servers", "act", "servers' CPU ms", "etcd's CPU ms", "acts/s here", "retries"],
    rows: reports.flatMap(({ setup, acts }) =>
      acts.map(({ name, costs }) => [
        setup,
        name,
        ...(["servers", "etcd", "perSecond"] as const).map((key) => formatNumber(medianCost(costs, key))),
        formatRetries(medianCost(costs, "retries")),
      ])
    ),
    pictures: [],
    data: reports,
  };
}

function medianCost(costs: readonly Cost[], key: keyof Cost): number {
  return findMedian(costs.map((cost) => cost[key]));
}

function listSetups(program: Program): readonly (readonly [string, () => Promise<BenchInstance>])[] {
  return [
    ["tlsboot, SQLite", () => startOurInstance(program)],
    ["tlsboot, etcd", () => startOurServers(program, 1)],
    [`${SERVERS_ON_ETCD} × tlsboot, etcd`, () => startOurServers(program, SERVERS_ON_ETCD)],
    ["kube-apiserver, etcd", () => startPeerInstance()],
  ];
}

/** Measures the acts in the order of `ACTS`. */
async function measureActs(start: () => Promise<BenchInstance>, scale: number): Promise<readonly Cost[]> {
  await using instance = await start();
  await using traffic = await openNodeTraffic(instance.adminKubeconfigs);
  const toCount = (count: number): number => Math.max(1, Math.round(count * scale));
  const [renewals, patches, joins] = [toCount(COUNTS.renewals), toCount(COUNTS.patches), toCount(COUNTS.joins)];
  // Warm up, because a server in use does not run cold code.
  await traffic.renewLeases(toCount(WARM_UP));
  await traffic.patchStatuses(toCount(WARM_UP));
  return [
    await measureCost(instance, renewals, () => answered(traffic.renewLeases(renewals))),
    await measureCost(instance, patches, () => answered(traffic.patchStatuses(patches))),
    await measureCost(instance, joins, async () => (await storm(instance.bootstrapKubeconfigs, joins)).retries),
  ];
}

const WARM_UP = 1_000;

/** Measures the CPU cost of some acts; `drive` returns the number of retries. */
async function measureCost(instance: BenchInstance, count: number, drive: () => Promise<number>): Promise<Cost> {
  const [startedAt, before] = [performance.now(), usedBy(instance)];
  const retries = await drive();
  const perSecond = (1000 * count) / (performance.now() - startedAt);
  const { usage, etcd } = usedSince(before, instance);
  const ofEtcd = etcd?.cpuSeconds ?? 0;
  const each = (seconds: number): number => (1000 * seconds) / count;
  return { servers: each(usage.cpuSeconds - ofEtcd), etcd: each(ofEtcd), perSecond, retries };
}

/** Awaits an act, and returns 0 retries, because an act without an answer fails. */
async function answered(act: Promise<unknown>): Promise<number> {
  await act;
  return 0;
}
