/** Inflicts the faults of a plan on a world. */
import type { EtcdModel } from "./etcd_model.ts";
import { describeFault, type FaultStep } from "./fault_plan.ts";
import type { Host } from "./host.ts";
import type { Network } from "./network.ts";
import type { Scheduler } from "./scheduler.ts";

/** The parts of a world that faults affect. */
interface FaultyWorld {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly etcd: EtcdModel | undefined;
  readonly hosts: ReadonlyMap<string, Host>;
  /** The periods of the faults that have begun. */
  readonly faultPeriods: FaultPeriod[];
}

/** The period of a fault, which may end earlier. */
export interface FaultPeriod {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Measures the longest period without a fault between two times. */
export function measureCalm(periods: readonly FaultPeriod[], fromMs: number, untilMs: number): number {
  let longest = 0;
  let calmSince = fromMs;
  for (const period of periods.toSorted((a, b) => a.fromMs - b.fromMs)) {
    longest = Math.max(longest, Math.min(period.fromMs, untilMs) - calmSince);
    calmSince = Math.max(calmSince, period.untilMs);
  }
  return Math.max(longest, untilMs - calmSince);
}

/**
 * Schedules all faults of a plan, and their ends. A fault does not happen if it would end after the time limit, because
 * the trace was silent for too long. Returns the times at which faults began; the map grows during the run.
 */
export function scheduleFaults(
  world: FaultyWorld,
  plan: readonly FaultStep[],
  untilMs: number,
): ReadonlyMap<FaultStep, number> {
  const { scheduler } = world;
  const begun = new Map<FaultStep, number>();
  const begin = (step: FaultStep): void => {
    const endMs = scheduler.nowMs + ("forMs" in step ? step.forMs : 0);
    if (endMs > untilMs) return;
    begun.set(step, scheduler.nowMs);
    scheduler.trace.add("world", describeFault(step));
    world.faultPeriods.push({ fromMs: scheduler.nowMs, untilMs: endMs });
    beginFault(world, step);
  };
  for (const step of plan) {
    scheduler.schedule(step.atMs - scheduler.nowMs, () => {
      scheduler.trace.after(step.afterLines, () => scheduler.schedule(0, () => begin(step), undefined));
    }, undefined);
  }
  return begun;
}

/** Ends all faults: every host runs, and every link is open. */
export function endFaults({ network, etcd, hosts }: FaultyWorld): void {
  for (const [name, host] of hosts) {
    host.resume();
    host.hasPower = true;
    host.restart();
    for (const other of hosts.keys()) network.heal(name, other);
    for (const member of etcd?.members ?? []) etcd?.heal(name, member);
  }
  for (const member of etcd?.members ?? []) {
    etcd?.slow(member);
    etcd?.restart(member);
    for (const other of etcd?.members ?? []) etcd?.heal(member, other);
  }
}

function beginFault({ scheduler, network, etcd, hosts }: FaultyWorld, step: FaultStep): void {
  const findHost = (name: string): Host => {
    const host = hosts.get(name);
    if (host === undefined) throw new Error(`no host is called ${name}`);
    return host;
  };
  const later = (ms: number, run: () => void): void => void scheduler.schedule(ms, run, undefined);
  switch (step.kind) {
    case "kill": {
      const host = findHost(step.host);
      host.kill();
      return later(step.forMs, () => host.hasPower && host.restart());
    }
    case "power": {
      const host = findHost(step.host);
      host.cutPower();
      return later(step.forMs, () => {
        host.hasPower = true;
        host.restart();
      });
    }
    case "pause": {
      const host = findHost(step.host);
      host.pause();
      return later(step.forMs, () => host.resume());
    }
    case "clock": {
      const host = findHost(step.host);
      host.stepClock(step.byMs);
      return later(step.forMs, () => host.stepClock(-step.byMs));
    }
    case "cut":
      network.cut(...step.between);
      return later(step.forMs, () => network.heal(...step.between));
    case "reset":
      return network.reset(...step.between);
    case "etcdCut":
      etcd?.cut(...step.between);
      return later(step.forMs, () => etcd?.heal(...step.between));
    case "etcdCrash":
      etcd?.crash(step.member);
      return later(step.forMs, () => etcd?.restart(step.member));
    case "etcdSlow":
      etcd?.slow(step.member, step.lagMs);
      return later(step.forMs, () => etcd?.slow(step.member));
    case "etcdLeader":
      return etcd?.moveLeader();
    case "etcdCompact":
      return etcd?.compact();
    case "lostAnswers":
      return etcd?.loseAnswers(step.host, step.count);
  }
}
