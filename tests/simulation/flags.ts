/** The command line of `deno task simulate`. */
import { parseFlags, wholeNumber } from "../support/command_line.ts";

/** The hosts and the duration of a run. */
export interface RunSettings {
  readonly seed: number;
  readonly hours: number;
  /** The lifetime that nodes request for their certificates, in hours. */
  readonly lifetime: number;
  readonly nodes: number;
  /** The number of servers. One server has its own database; several share an etcd of three members. */
  readonly servers: number;
  /** The number of clients that write, read and watch ConfigMaps. */
  readonly clients: number;
  /** The number of clients that revoke credentials and then use them. */
  readonly revokers: number;
}

export interface SimulationFlags extends RunSettings {
  /** The number of faults, which the seed chooses. */
  readonly faults: number;
  /** The folder for the history of all calls. */
  readonly history: string | undefined;
  /** Whether to check the history too, as torture does, if a run breaks no promise. */
  readonly isHistoryChecked: boolean;
  /** The path of a file for the trace. */
  readonly trace: string | undefined;
  /** The file of a scenario from an earlier run. */
  readonly replay: string | undefined;
  /** The bug of `tests/torture/plants.ts` that the run must find. */
  readonly plant: string | undefined;
  /** The number of runs, with this seed and the next ones, until one breaks a promise. */
  readonly seeds: number;
  /** Whether to describe the scenario of the run as a story. */
  readonly story: boolean;
  /** The largest number of runs to simplify a scenario that breaks a promise. */
  readonly shrink: number;
}

/** Parses the command line; throws `UsageError` for unknown flags. */
export function readFlags(args: readonly string[]): SimulationFlags {
  const values = parse(args);
  return {
    seed: wholeNumber("seed", values.seed),
    hours: wholeNumber("hours", values.hours ?? String(24 * wholeNumber("days", values.days)), 1),
    lifetime: wholeNumber("lifetime", values.lifetime, 1),
    nodes: wholeNumber("nodes", values.nodes, 1),
    servers: wholeNumber("servers", values.servers, 1),
    clients: wholeNumber("clients", values.clients),
    revokers: wholeNumber("revokers", values.revokers),
    faults: wholeNumber("faults", values.faults),
    history: values.history,
    isHistoryChecked: values["check-history"],
    trace: values.trace,
    replay: values.replay,
    plant: values.plant,
    seeds: wholeNumber("seeds", values.seeds, 1),
    story: values.story,
    shrink: wholeNumber("shrink", values.shrink),
  };
}

function parse(args: readonly string[]) {
  return parseFlags({
    args: [...args],
    options: {
      seed: { type: "string", default: "1" },
      days: { type: "string", default: "10" },
      hours: { type: "string" },
      lifetime: { type: "string", default: "24" },
      nodes: { type: "string", default: "20" },
      servers: { type: "string", default: "1" },
      clients: { type: "string", default: "0" },
      revokers: { type: "string", default: "0" },
      history: { type: "string" },
      "check-history": { type: "boolean", default: false },
      faults: { type: "string", default: "0" },
      trace: { type: "string" },
      replay: { type: "string" },
      plant: { type: "string" },
      seeds: { type: "string", default: "1" },
      story: { type: "boolean", default: false },
      shrink: { type: "string", default: "60" },
    },
  }).values;
}
