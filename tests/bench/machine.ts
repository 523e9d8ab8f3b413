/** The facts without which numbers mean nothing. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import process from "node:process";
import { CFSSL, ETCD, KUBERNETES } from "../support/peers/go.ts";

/** Where and with what something was measured. */
export interface Machine {
  /** ISO 8601, to the second. */
  readonly date: string;
  readonly cores: number;
  readonly processor: string;
  readonly memoryGib: number;
  readonly system: string;
  /** Name and version of each program. */
  readonly versions: Readonly<Record<string, string>>;
  /** Of the last minute, at the end. */
  readonly load: number;
}

/** Looks at this one. `node` is the Node that ours ran on. */
export function readMachine(node: string): Machine {
  const [cpu] = cpus();
  return {
    date: new Date().toISOString().replace(/\.\d+/, ""),
    cores: cpus().length,
    processor: cpu?.model ?? "unknown",
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    versions: {
      tlsboot: readCommit(),
      Node: execFileSync(node, ["--version"], { encoding: "utf8" }).trim(),
      Deno: `v${process.versions["deno"] ?? "none"}`,
      Kubernetes: KUBERNETES,
      etcd: ETCD,
      cfssl: CFSSL,
    },
    load: loadavg()[0] ?? 0,
  };
}

/** Formats the facts about the machine in one line. */
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

/** What the checkout is; the numbers are of no release when it has changes of its own. */
function readCommit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}
