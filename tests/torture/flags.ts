/** The command line of `deno task torture`. */
import { parseFlags, UsageError, wholeNumber } from "../support/command_line.ts";
import { FAULT_KINDS, type FaultKind } from "./faults.ts";

export interface TortureFlags {
  readonly kills: number;
  /** The required number of kills; the run is extended to reach it. */
  readonly minKills: number;
  readonly seconds: number;
  /** The time in which clients settle after the last fault. */
  readonly settleSeconds: number;
  readonly nodes: number;
  readonly servers: number;
  readonly seed: number;
  readonly binary: boolean;
  /** The names of planted bugs to find, separated by commas; undefined for a run without a planted bug. */
  readonly plant: string | undefined;
  /** Whether to simulate power loss in `states` states of each scene, and to start programs on `starts` of them. */
  readonly powerLoss: boolean;
  readonly states: number;
  readonly starts: number;
  /** The names of the scenes; all scenes if empty. */
  readonly scenes: readonly string[];
  /** Whether to keep the folder with the history even if nothing is wrong. */
  readonly keep: boolean;
  readonly faults: readonly FaultKind[];
  /** The folder of an earlier run, whose history is checked again. */
  readonly replay: string | undefined;
}

const KILLS = "200";
/** The time of the kills. With the checks after them, a run takes about two minutes. */
const SECONDS = "90";
/** The time limit for a requested number of kills. */
const LONGEST_SECONDS = "3600";
/** The required number of kills without flags, which a busy machine may not reach in time. */
const MIN_KILLS = 25;

/** Parses the command line; throws `UsageError` for unknown flags. */
export function readFlags(args: readonly string[]): TortureFlags {
  const values = parse(args);
  return {
    kills: wholeNumber("kills", values.kills ?? KILLS),
    minKills: parseMinKills(values),
    seconds: wholeNumber("seconds", values.seconds ?? (values.kills === undefined ? SECONDS : LONGEST_SECONDS)),
    settleSeconds: wholeNumber("settle", values.settle, 1),
    nodes: wholeNumber("nodes", values.nodes),
    servers: wholeNumber("servers", values.servers, 1),
    seed: wholeNumber("seed", values.seed),
    binary: values.binary,
    plant: values.plant,
    powerLoss: values["power-loss"],
    states: wholeNumber("states", values.states, 1),
    starts: wholeNumber("starts", values.starts),
    scenes: values.scene,
    keep: values.keep,
    faults: parseFaults(values),
    replay: values.replay,
  };
}

/** Returns the requested number of kills; by default 1 with `--seconds` or `--servers`, and 0 with other faults. */
function parseMinKills({ kills, seconds, servers, faults }: ReturnType<typeof parse>): number {
  if (kills !== undefined) return wholeNumber("kills", kills);
  if (faults !== "kill") return 0;
  return seconds === undefined && servers === "1" ? MIN_KILLS : 1;
}

function parseFaults({ faults, servers }: ReturnType<typeof parse>): readonly FaultKind[] {
  const possible = servers === "1" ? FAULT_KINDS.filter((kind) => kind !== "compact") : FAULT_KINDS;
  if (faults === "all") return possible;
  const named = new Set(faults.split(","));
  const found = possible.filter((kind) => named.has(kind));
  if (found.length === named.size) return found;
  throw new UsageError(`--faults must be "all" or some of ${possible.join(",")}, not ${JSON.stringify(faults)}`);
}

function parse(args: readonly string[]) {
  return parseFlags({
    args: [...args],
    options: {
      kills: { type: "string" },
      seconds: { type: "string" },
      settle: { type: "string", default: "90" },
      nodes: { type: "string", default: "24" },
      servers: { type: "string", default: "1" },
      seed: { type: "string", default: "20261125" },
      faults: { type: "string", default: "kill" },
      binary: { type: "boolean", default: false },
      plant: { type: "string" },
      "power-loss": { type: "boolean", default: false },
      states: { type: "string", default: "2000" },
      starts: { type: "string", default: "40" },
      scene: { type: "string", multiple: true, default: [] },
      keep: { type: "boolean", default: false },
      replay: { type: "string" },
    },
  }).values;
}
