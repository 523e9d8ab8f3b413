/** `deno task bench capacity`: the CPU time that each thing a node asks for costs, by what the objects are kept in. */
import type { Bench } from "./bench.ts";
import { startEtcd } from "../../tests/interop/support/etcd.ts";
import { storm } from "./load.ts";
import { openNodeTraffic } from "./node_traffic.ts";
import { startOurServers } from "./our_servers.ts";
import { startOurSite } from "./our_site.ts";
import { LIFTED, startPeerSite } from "./peer_site.ts";
import { usageOf } from "./processes.ts";
import type { Program } from "./program.ts";
import { formatNumber } from "./report.ts";
import type { Section } from "./section.ts";
import { medianOf } from "./stats.ts";

/** How often each is asked, before `--scale`. */
const COUNTS = { renewals: 6_000, patches: 2_000, joins: 300 };
/** Servers that share an etcd. */
const SHARING = 3;

/** What was started: servers, and an etcd where there is one. */
interface Place extends AsyncDisposable {
  readonly adminKubeconfigs: readonly string[];
  readonly bootstrapKubeconfigs: readonly string[];
  readonly serverPids: readonly number[];
  readonly etcdPids: readonly number[];
}

interface Setup {
  readonly name: string;
  start(): Promise<Place>;
}

/** CPU milliseconds of one act. */
interface Cost {
  readonly servers: number;
  readonly etcd: number;
  readonly perSecond: number;
}

interface Act {
  readonly name: string;
  readonly costs: Cost[];
}

interface CapacityReport {
  readonly setup: string;
  readonly acts: readonly Act[];
}

/** Measures it. */
export async function runCapacity({ options, programs, progress, machine }: Bench): Promise<Section> {
  const reports: CapacityReport[] = [];
  for (const program of await programs()) reports.push(...setupsOf(program).map(({ name }) => reportOf(name)));
  for (let round = 1; round <= options.rounds; round++) {
    let index = 0;
    for (const program of await programs()) {
      for (const setup of setupsOf(program)) {
        progress(`round ${round}/${options.rounds}: ${setup.name}`);
        await measureInto(reports[index++]!, setup, options.scale);
      }
    }
  }
  return {
    command: "capacity",
    title: "What a node costs",
    machine: machine(),
    settings: `CPU milliseconds for each act, of all servers together and of etcd, from /proc; the median of ` +
      `${options.rounds} rounds. 16 connections that stay open, JSON, as administrator; a join is a whole bootstrap ` +
      "over a TLS connection of its own, approved and signed.",
    head: ["servers", "act", "servers' CPU ms", "etcd's CPU ms", "acts/s here"],
    rows: reports.flatMap(({ setup, acts }) =>
      acts.map(({ name, costs }) => [
        setup,
        name,
        ...(["servers", "etcd", "perSecond"] as const).map((key) =>
          formatNumber(medianOf(costs.map((cost) => cost[key])))
        ),
      ])
    ),
    pictures: [],
    data: reports,
  };
}

function reportOf(setup: string): CapacityReport {
  return { setup, acts: ["renew a Lease", "patch a status", "join"].map((name) => ({ name, costs: [] })) };
}

function setupsOf(program: Program): readonly Setup[] {
  return [
    { name: `tlsboot, ${program.form}, SQLite`, start: () => startAlone(program) },
    { name: `tlsboot, ${program.form}, etcd`, start: () => startOnEtcd(program, 1) },
    { name: `${SHARING} × tlsboot, ${program.form}, etcd`, start: () => startOnEtcd(program, SHARING) },
    { name: "kube-apiserver, etcd", start: startPeer },
  ];
}

async function startAlone(program: Program): Promise<Place> {
  const site = await startOurSite(program);
  return {
    adminKubeconfigs: [site.adminKubeconfig],
    bootstrapKubeconfigs: [site.bootstrapKubeconfig],
    serverPids: site.pids,
    etcdPids: [],
    [Symbol.asyncDispose]: () => site[Symbol.asyncDispose](),
  };
}

async function startOnEtcd(program: Program, count: number): Promise<Place> {
  const { sites, etcd, ...rest } = await startOurServers(program, count);
  return {
    adminKubeconfigs: sites.map(({ adminKubeconfig }) => adminKubeconfig),
    bootstrapKubeconfigs: sites.map(({ bootstrapKubeconfig }) => bootstrapKubeconfig),
    serverPids: sites.flatMap(({ pids }) => pids),
    etcdPids: etcd.pids(),
    ...rest,
  };
}

async function startPeer(): Promise<Place> {
  const etcd = await startEtcd();
  try {
    const site = await startPeerSite(LIFTED, etcd);
    return {
      adminKubeconfigs: [site.adminKubeconfig],
      bootstrapKubeconfigs: [site.bootstrapKubeconfig],
      serverPids: site.pids,
      etcdPids: etcd.pids(),
      async [Symbol.asyncDispose]() {
        await site[Symbol.asyncDispose]();
        await etcd[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await etcd[Symbol.asyncDispose]();
    throw error;
  }
}

async function measureInto({ acts }: CapacityReport, setup: Setup, scale: number): Promise<void> {
  await using place = await setup.start();
  await using traffic = await openNodeTraffic(place.adminKubeconfigs);
  const countOf = (count: number): number => Math.max(1, Math.round(count * scale));
  const [renewals, patches, joins] = [countOf(COUNTS.renewals), countOf(COUNTS.patches), countOf(COUNTS.joins)];
  const share = Math.max(1, Math.round(joins / place.bootstrapKubeconfigs.length));
  const drives: readonly [number, () => Promise<unknown>][] = [
    [renewals, () => traffic.renewLeases(renewals)],
    [patches, () => traffic.patchStatuses(patches)],
    [
      share * place.bootstrapKubeconfigs.length,
      () => Promise.all(place.bootstrapKubeconfigs.map((path, at) => storm(path, share, { prefix: `join-${at}` }))),
    ],
  ];
  // Cold code is not what a day costs.
  await traffic.renewLeases(countOf(WARMING));
  await traffic.patchStatuses(countOf(WARMING));
  for (const [index, [count, drive]] of drives.entries()) acts[index]!.costs.push(await costOf(place, count, drive));
}

const WARMING = 1_000;

async function costOf({ serverPids, etcdPids }: Place, count: number, drive: () => Promise<unknown>): Promise<Cost> {
  const look = () => [serverPids, etcdPids].map((pids) => usageOf(pids).cpuSeconds);
  const [startedAt, before] = [performance.now(), look()];
  await drive();
  const [servers = 0, etcd = 0] = look().map((seconds, index) => (1000 * (seconds - before[index]!)) / count);
  return { servers, etcd, perSecond: (1000 * count) / (performance.now() - startedAt) };
}
