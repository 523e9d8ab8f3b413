/**
 * The parts of a benchmark: a scenario runs on our side and on a peer in turn, and yields a number for each of its
 * lines.
 */
import type { Aim } from "./aims.ts";
import type { Usage } from "./processes.ts";
import type { Program } from "./program.ts";

/** The unit of a line's number. */
export type Unit = "s" | "ms" | "/s" | "MB" | "%";

/** One number of one run. */
export interface Reading {
  readonly value: number;
  /** The size of the body of the answer that was timed. */
  readonly bytes?: number;
  /** How often a client had no answer and retried. */
  readonly retries?: number;
  /** The usage of the servers, etcd included: CPU seconds of this line alone, memory at its end. */
  readonly usage?: Usage;
  /** The part of the usage that belongs to etcd. */
  readonly etcd?: Usage;
}

/** A line of the table. */
export interface Line {
  readonly what: string;
  readonly unit: Unit;
  readonly peer: string;
  /** Undefined when the design has none. */
  readonly aim?: Aim | undefined;
}

/** The peer of most lines. */
export const LIFTED_PEER = "control plane, limits lifted";

/** Readings by the key of their line. */
export type Readings<Key extends string> = Readonly<Record<Key, Reading>>;

export interface Scenario<Key extends string = string> {
  readonly lines: Readonly<Record<Key, Line>>;
  ours(program: Program): Promise<Readings<Key>>;
  /** Runs the peer; where that takes a client, it is the same program. */
  theirs(program: Program): Promise<Readings<Key>>;
}
