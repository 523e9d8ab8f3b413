/** The command line of `deno task simulate`. */
import { parseFlags, wholeNumber } from "../support/command_line.ts";

/** The hosts of a run, and how long it lasts. */
export interface RunSettings {
  readonly seed: number;
  readonly hours: number;
  /** The lifetime that nodes request for their certificates, in hours. */
  readonly lifetime: number;
  readonly nodes: number;
  /** One server has a database of its own; several share an etcd of three members. */
  readonly servers: number;
  /** Clients that write, read and watch ConfigMaps. */
  readonly clients: number;
  /** Clients that revoke credentials, and use them afterwards. */
  readonly revokers: number;
}

export interface SimulationFlags extends RunSettings {
  /** The number of faults, which the seed chooses. */
  readonly faults: number;
  /** The folder that keeps the history of all calls. */
  readonly history: string | undefined;
  /** Whether the history of a run that keeps the promises of the simulation is also checked by the judge of torture. */
  readonly judge: boolean;
  /** The file that keeps the trace. */
  readonly trace: string | undefined;
  /** The file of a scenario that an earlier run has kept. */
  readonly replay: string | undefined;
  /** The bug of `tests/torture/plants.ts` that the run must find. */
  readonly plant: string | undefined;
  /** The number of runs, with this seed and the next ones, until one breaks a promise. */
  readonly seeds: number;
  /** Whether a run that breaks a promise prints its faults. */
  readonly story: boolean;
  /** The number of runs that may be spent on a shorter story of a broken promise. */
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
    judge: values.judge,
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
      judge: { type: "boolean", default: false },
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
