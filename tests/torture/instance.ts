/** The tortured instance as the storm sees it: it is killed and started again, and keeps what it has acknowledged. */
import type { Clock, Random } from "../../core/ports.ts";

/** The options of a tortured instance. */
export interface TorturedInstanceOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds; ends with the storm. */
  readonly pause: (ms: number) => Promise<void>;
  /** False once no more kills are wanted. */
  readonly hasTime: () => boolean;
  /** Returns the newest revision that a client has seen. */
  readonly newestShown: () => number;
  /** Called for each broken promise. */
  readonly onFault: (fault: string) => void;
}

/** The number of kills of an instance. */
export interface KillCounts {
  readonly kills: number;
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
  /** Lets it run for a moment, kills, and starts again; resolves once all of it serves. */
  killOnce(): Promise<void>;
  /** Ends it and checks the storage that it leaves. */
  end(): Promise<void>;
  counts(): KillCounts;
  /** Connections that a load balancer gave each server; none without one. */
  shares(): Promise<readonly number[]>;
  /** Returns the last output of its servers. */
  stderr(): string;
}
