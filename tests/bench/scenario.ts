/** A scenario of the benchmarks: it runs on our side and on a peer in turn, and returns a number for each line. */
import type { Aim } from "./aims.ts";
import type { Usage } from "./processes.ts";
import type { Program } from "./program.ts";

/** The unit of a line's number. */
export type Unit = "s" | "ms" | "/s" | "MB" | "%";

/** One number of one run. */
export interface Reading {
  readonly value: number;
  /** The size of the body of the timed answer. */
  readonly bytes?: number;
  /** The number of retries after a request without an answer. */
  readonly retries?: number;
  /** The usage of the servers including etcd: the CPU seconds of this line, and the memory at its end. */
  readonly usage?: Usage;
  /** The part of the usage that belongs to etcd. */
  readonly etcd?: Usage;
}

/** A line of the table. */
export interface Line {
  readonly what: string;
  readonly unit: Unit;
  readonly peer: string;
  readonly aim?: Aim | undefined;
}

/** The peer of most lines. */
export const LIFTED_PEER = "control plane, limits lifted";

/** Readings by the key of their line. */
export type Readings<Key extends string> = Readonly<Record<Key, Reading>>;

export interface Scenario<Key extends string = string> {
  readonly lines: Readonly<Record<Key, Line>>;
  ours(program: Program): Promise<Readings<Key>>;
  /** Runs the peer; the program is the client if it needs one. */
  theirs(program: Program): Promise<Readings<Key>>;
}
