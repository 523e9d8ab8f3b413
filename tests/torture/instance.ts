/** The interface of an instance on which a storm inflicts faults. */
import type { Random } from "../../core/ports.ts";
import type { SettableClock } from "./clock_steps.ts";
import type { FaultKind, Faults } from "./faults.ts";

/** One in this many kills happens while a server starts. */
export const STARTING_KILLS = 5;

export interface TorturedInstanceOptions {
  readonly folder: string;
  /** The clock of the clients, which is set together with the clocks of the servers. */
  readonly clock: SettableClock;
  readonly faults: Faults;
  /** The path of an earlier build, if upgrades are chosen. */
  readonly earlierBuild: string | undefined;
  readonly random: Random;
  /** Waits for some milliseconds, or until the storm ends. */
  readonly pause: (ms: number) => Promise<void>;
  /** Reports whether the storm goes on. */
  readonly hasTime: () => boolean;
  /** Returns the newest revision that a client has seen. */
  readonly newestShown: () => number;
  /** Called for each compaction of etcd, with the interval of the elapsed time in which it happened. */
  readonly onCompaction: (revision: number, beginMs: number, endMs: number) => void;
  /** Called for each broken promise. */
  readonly onFault: (fault: string) => void;
}

/** The counts of an instance, apart from its faults. */
export interface InstanceCounts {
  /** The number of kills before the server reported that it was up. */
  readonly killedStarting: number;
  /** How often the storage of the instance was checked. */
  readonly checks: number;
}

/** One server or several, with their storage. */
export interface TorturedInstance extends AsyncDisposable {
  /** The paths of the CA and the credentials, once the instance has started. */
  readonly caPath: string;
  readonly adminKubeconfig: string;
  readonly bootstrapKubeconfig: string;
  /** Starts the instance for the first time; resolves once it serves. */
  begin(): Promise<void>;
  /** Inflicts a fault after a moment and heals it; resolves once all servers serve. */
  inflict(fault: FaultKind): Promise<void>;
  /** Sets the clocks so that every issued certificate is valid. */
  settle(): Promise<void>;
  /** Ends the instance and checks its storage. */
  end(): Promise<void>;
  counts(): InstanceCounts;
  /** Returns the number of connections that the load balancer gave each server; empty without one. */
  shares(): Promise<readonly number[]>;
  /** Returns the last output of its servers. */
  stderr(): string;
}
