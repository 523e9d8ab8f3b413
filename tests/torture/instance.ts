/** The tortured instance as the storm sees it: it suffers faults, and keeps what it has acknowledged. */
import type { Random } from "../../core/ports.ts";
import type { SettableClock } from "./clock_steps.ts";
import type { FaultKind, Faults } from "./faults.ts";

/** The options of a tortured instance. */
export interface TorturedInstanceOptions {
  readonly folder: string;
  /** The clock of the clients, which is set together with those of the servers. */
  readonly clock: SettableClock;
  readonly faults: Faults;
  /** The path of an earlier build, when upgrades are chosen. */
  readonly earlierBuild: string | undefined;
  readonly random: Random;
  /** Milliseconds; ends with the storm. */
  readonly pause: (ms: number) => Promise<void>;
  /** False once no more faults are wanted. */
  readonly hasTime: () => boolean;
  /** Returns the newest revision that a client has seen. */
  readonly newestShown: () => number;
  /** Called for each compaction of etcd, which happened between two instants (elapsed milliseconds of the clock). */
  readonly onCompaction: (revision: number, beginMs: number, endMs: number) => void;
  /** Called for each broken promise. */
  readonly onFault: (fault: string) => void;
}

/** What happened to an instance beside its faults. */
export interface InstanceCounts {
  /** Kills before the server had said that it is up. */
  readonly killedStarting: number;
  /** How often the storage of the instance was checked. */
  readonly checks: number;
}

/** One server or several, with their storage. */
export interface TorturedInstance extends AsyncDisposable {
  /** The path of the CA and of the credentials, once it has started. */
  readonly caPath: string;
  readonly adminKubeconfig: string;
  readonly bootstrapKubeconfig: string;
  /** Starts it for the first time; resolves once it serves. */
  begin(): Promise<void>;
  /** Lets it run for a moment, inflicts a fault and heals it; resolves once all of it serves. */
  inflict(fault: FaultKind): Promise<void>;
  /** Sets the clocks so that everything that was issued is valid. */
  settle(): Promise<void>;
  /** Ends it and checks the storage that it leaves. */
  end(): Promise<void>;
  counts(): InstanceCounts;
  /** Connections that a load balancer gave each server; none without one. */
  shares(): Promise<readonly number[]>;
  /** Returns the last output of its servers. */
  stderr(): string;
}
