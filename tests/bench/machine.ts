/** The facts about the machine, without which numbers mean nothing. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import process from "node:process";
import { findCommit } from "../support/command_line.ts";
import { CFSSL, ETCD, KUBERNETES } from "../support/peers/go.ts";

/** The machine and the versions of a measurement. */
export interface Machine {
  /** The time in ISO 8601, to the second. */
  readonly date: string;
  readonly cores: number;
  readonly processor: string;
  readonly memoryGib: number;
  readonly system: string;
  /** Name and version of each program. */
  readonly versions: Readonly<Record<string, string>>;
  /** The load average of the minute before the facts are read. */
  readonly load: number;
}

/** Reads the facts about this machine. `node` is the Node that our program ran on. */
export function readMachine(node: string): Machine {
  const [cpu] = cpus();
  return {
    date: new Date().toISOString().replace(/\.\d+/, ""),
    cores: cpus().length,
    processor: cpu?.model ?? "unknown",
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    versions: {
      tlsboot: findCommit(),
      Node: execFileSync(node, ["--version"], { encoding: "utf8" }).trim(),
      Deno: `v${process.versions["deno"] ?? "none"}`,
      Kubernetes: KUBERNETES,
      etcd: ETCD,
      cfssl: CFSSL,
    },
    load: loadavg()[0] ?? 0,
  };
}

export function formatMachine(machine: Machine): string {
  const { date, cores, processor, memoryGib, system, versions, load } = machine;
  return [
    date,
    `${cores} cores (${processor})`,
    `${memoryGib} GiB`,
    system,
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
    `load ${load.toFixed(1)}`,
  ].join(", ");
}
