/** The faults of a run as data, so that a run can be repeated without some of them. */
import type { Random } from "../../core/ports.ts";
import { below, pick } from "../support/seeded_random.ts";
import { formatTime } from "./trace.ts";

/** One fault. It begins some trace lines after its time, so it can begin between any two steps. */
export type FaultStep = { readonly atMs: number; readonly afterLines: number } & Fault;

type Fault =
  | { readonly kind: "kill" | "power" | "pause"; readonly host: string; readonly forMs: number }
  | { readonly kind: "clock"; readonly host: string; readonly byMs: number; readonly forMs: number }
  | { readonly kind: "cut" | "etcdCut"; readonly between: readonly [string, string]; readonly forMs: number }
  | { readonly kind: "reset"; readonly between: readonly [string, string] }
  | { readonly kind: "etcdCrash"; readonly member: string; readonly forMs: number }
  | { readonly kind: "etcdSlow"; readonly member: string; readonly lagMs: number; readonly forMs: number }
  | { readonly kind: "etcdLeader" | "etcdCompact" }
  | { readonly kind: "lostAnswers"; readonly host: string; readonly count: number };

/** The possible targets of faults. */
interface FaultTargets {
  readonly servers: readonly string[];
  readonly nodes: readonly string[];
  readonly clients: readonly string[];
  /** The members of the etcd; empty for one server with its own database. */
  readonly members: readonly string[];
}

/** The largest number of trace lines after which a fault begins. */
const MAX_LINES = 30;
const HOUR_MS = 3_600_000;

/** Draws faults that begin between two times. */
export function planFaults(
  { random, targets, fromMs, toMs, count }: {
    readonly random: Random;
    readonly targets: FaultTargets;
    readonly fromMs: number;
    readonly toMs: number;
    readonly count: number;
  },
): readonly FaultStep[] {
  const steps = Array.from({ length: count }, () => ({
    atMs: fromMs + below(random, toMs - fromMs),
    afterLines: below(random, MAX_LINES),
    ...drawFault(random, targets),
  }));
  return steps.sort((one, other) => one.atMs - other.atMs);
}

function drawFault(random: Random, { servers, nodes, clients, members }: FaultTargets): Fault {
  // Most faults are short, so that they end while other parts still wait.
  const forMs = 10 ** (2 + random.float() * 3);
  const server = pick(random, servers);
  const other = pick(random, [...nodes, ...clients]);
  const kinds: Fault["kind"][] = ["kill", "power", "pause", "clock", "cut", "reset"];
  if (members.length > 0) {
    kinds.push(
      "etcdCut",
      "etcdCut",
      "etcdCrash",
      "etcdSlow",
      "etcdLeader",
      "etcdCompact",
      "lostAnswers",
      "lostAnswers",
    );
  }
  const kind = pick(random, kinds);
  switch (kind) {
    case "kill":
    case "power":
    case "pause":
      return { kind, host: pick(random, [server, server, other]), forMs };
    case "clock":
      return {
        kind,
        host: pick(random, [server, other]),
        byMs: pick(random, [-HOUR_MS, HOUR_MS, -60_000, 60_000]),
        forMs,
      };
    case "cut":
      return { kind, between: [server, other], forMs };
    case "reset":
      return { kind, between: [server, other] };
    case "etcdCut": {
      const member = pick(random, members);
      return { kind, between: [member, pick(random, [server, ...members.filter((one) => one !== member)])], forMs };
    }
    case "etcdCrash":
      return { kind, member: pick(random, members), forMs };
    case "etcdSlow":
      return { kind, member: pick(random, members), lagMs: pick(random, [200, 2_000, 20_000]), forMs };
    case "etcdLeader":
    case "etcdCompact":
      return { kind };
    case "lostAnswers":
      return { kind, host: server, count: pick(random, [1, 2]) };
  }
}

/** Describes a fault in a sentence, with the time at which it began if that is known. */
export function describeFault(step: FaultStep, beganMs?: number): string {
  const lines = `${step.afterLines} line${step.afterLines === 1 ? "" : "s"} of the trace later`;
  const when = beganMs === undefined ? `At ${formatTime(step.atMs)}, ${lines},` : `At ${formatTime(beganMs)},`;
  return `${when} ${describeKind(step)}.`;
}

function describeKind(step: Fault): string {
  switch (step.kind) {
    case "kill":
      return `${step.host} is killed; it starts again after ${describeTime(step.forMs)}`;
    case "power":
      return `${step.host} loses power and what it has not synced; it starts again after ${describeTime(step.forMs)}`;
    case "pause":
      return `${step.host} is stopped for ${describeTime(step.forMs)}`;
    case "clock":
      return `the clock of ${step.host} is set ${describeTime(Math.abs(step.byMs))} ${
        step.byMs < 0 ? "back" : "forward"
      } for ${describeTime(step.forMs)}`;
    case "cut":
    case "etcdCut":
      return `${step.between.join(" and ")} do not reach each other for ${describeTime(step.forMs)}`;
    case "reset":
      return `the connections between ${step.between.join(" and ")} break`;
    case "etcdCrash":
      return `${step.member} is killed; it starts again after ${describeTime(step.forMs)}`;
    case "etcdSlow":
      return `${step.member} is up to ${describeTime(step.lagMs)} behind for ${describeTime(step.forMs)}`;
    case "etcdLeader":
      return "etcd elects another leader";
    case "etcdCompact":
      return "etcd is compacted";
    case "lostAnswers":
      return `${step.host} gets no answer to its next ${step.count === 1 ? "write" : `${step.count} writes`}`;
  }
}

function describeTime(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 2 * HOUR_MS ? `${Math.round(ms / 60_000)} minutes` : `${Math.round(ms / HOUR_MS)} hours`;
}
