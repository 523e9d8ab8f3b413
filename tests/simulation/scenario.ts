/** The scenario of a run as data. The same scenario gives the same run. */
import { readFileSync } from "node:fs";
import { createSeededRandom } from "../support/seeded_random.ts";
import { shrinkList } from "../support/shrink.ts";
import { describeFault, type FaultStep, planFaults } from "./fault_plan.ts";
import type { RunSettings, SimulationFlags } from "./flags.ts";

export interface Scenario extends RunSettings {
  readonly faults: readonly FaultStep[];
}

/** The time without faults at the end of a run, in which everything must recover. */
export const QUIET_MS = 1_200_000;
const HOUR_MS = 3_600_000;
/** The time before the first fault, in which the servers start. */
const FIRST_FAULT_MS = 10_000;
/** The longest time that a fault lasts. */
const LONGEST_MS = 100_000;

/** Reads a scenario from a file, or creates it from the flags. */
export function readScenario(
  { replay, faults, seed, hours, lifetime, nodes, servers, clients, revokers }: SimulationFlags,
): Scenario {
  if (replay !== undefined) return JSON.parse(readFileSync(replay, "utf8")) as Scenario;
  return createScenario({ seed, hours, lifetime, nodes, servers, clients, revokers }, faults);
}

/** Draws the faults of a scenario from its seed. */
export function createScenario(settings: RunSettings, count: number): Scenario {
  const names = (name: string, number: number): string[] =>
    Array.from({ length: number }, (_, index) => `${name}-${index}`);
  const faults = planFaults({
    random: createSeededRandom(settings.seed),
    targets: {
      servers: names("server", settings.servers),
      nodes: names("node", settings.nodes),
      clients: names("client", settings.clients),
      members: settings.servers === 1 ? [] : names("etcd", 3),
    },
    fromMs: FIRST_FAULT_MS,
    toMs: Math.max(FIRST_FAULT_MS + 1, settings.hours * HOUR_MS - QUIET_MS - LONGEST_MS),
    count,
  });
  return { ...settings, faults };
}

/** Describes a run as a story, with one sentence per line; `begun` has the times at which faults began. */
export function describeScenario(
  { seed, hours, nodes, servers, clients, revokers, faults }: Scenario,
  begun: ReadonlyMap<FaultStep, number>,
): readonly string[] {
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
  const store = servers === 1 ? "on its own database" : "on an etcd of three members";
  return [
    `Seed ${seed}: ${count(servers, "server")} ${store}, ${count(nodes, "node")} and ${count(clients, "client")}, for ${
      hours.toFixed(1)
    } hours.`,
    ...(revokers === 0 ? [] : [`${count(revokers, "more client")} revoke${revokers === 1 ? "s" : ""} credentials.`]),
    ...[...begun].map(([fault, beganMs]) => describeFault(fault, beganMs)),
    ...(begun.size === faults.length ? [] : [`${count(faults.length - begun.size, "fault")} did not happen in time.`]),
  ];
}

/** Simplifies a scenario as long as the simpler one still fails; `fails` is called at most `runs` times. */
export async function shrinkScenario(
  scenario: Scenario,
  fails: (scenario: Scenario) => Promise<boolean>,
  runs = 100,
): Promise<Scenario> {
  let best = scenario;
  let left = runs;
  const attempt = async (simpler: Scenario): Promise<boolean> => {
    if (left-- <= 0 || !await fails(simpler)) return false;
    best = simpler;
    return true;
  };
  // Remove faults first, because each adds a sentence.
  await shrinkList(best.faults, (faults) => attempt({ ...best, faults }));
  for (const name of ["nodes", "clients", "revokers", "servers"] as const) {
    const used = Math.max(
      name === "servers" ? Math.min(best.servers, 2) : 0,
      ...best.faults.map((fault) => 1 + findHighest(fault, `${name.slice(0, -1)}-`)),
    );
    while (best[name] > used && await attempt({ ...best, [name]: best[name] - 1 }));
  }
  while (best.hours > 0.5 && await attempt({ ...best, hours: best.hours / 2 }));
  return best;
}

/** Finds the highest number among the hosts with a prefix that a fault affects; -1 if there is none. */
function findHighest(fault: FaultStep, prefix: string): number {
  const hosts = "host" in fault ? [fault.host] : "between" in fault ? fault.between : [];
  return Math.max(-1, ...hosts.flatMap((host) => host.startsWith(prefix) ? [Number(host.slice(prefix.length))] : []));
}
