/**
 * The parts of a benchmark: a scenario runs on our side and on a peer in turn, and yields a number for each of its
 * lines.
 */
import type { Program } from "./program.ts";
import type { Usage } from "./processes.ts";

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

/** An aim of the design, never a limit. */
export interface Aim {
  readonly text: string;
  /** Whether the aim is a ratio, so that it holds wherever both sides are measured alike. */
  readonly isBesidePeer: boolean;
  /** Compares the medians of the two sides. */
  isMet(ours: number, theirs: number): boolean;
}

/** A line of the table. */
export interface Line {
  readonly what: string;
  readonly unit: Unit;
  readonly peer: string;
  /** Undefined when the design has none. */
  readonly aim?: Aim | undefined;
}

/** Readings by the key of their line. */
export type Readings<Key extends string> = Readonly<Record<Key, Reading>>;

export interface Scenario<Key extends string = string> {
  readonly lines: Readonly<Record<Key, Line>>;
  /** The number of runs in one round, for short scenarios. */
  readonly runsPerRound?: number;
  ours(program: Program): Promise<Readings<Key>>;
  /** Runs the peer; where that takes a client, it is the same program. */
  theirs(program: Program): Promise<Readings<Key>>;
}

/** Creates an aim that is an upper limit, in the unit of the line. */
export function atMost(limit: number, text: string): Aim {
  return { text, isBesidePeer: false, isMet: (ours) => ours <= limit };
}

/** Creates an aim that is an upper limit, as a multiple of the peer's number. */
export function atMostTimes(ratio: number, text = `${ratio} ×`): Aim {
  return { text, isBesidePeer: true, isMet: (ours, theirs) => ours <= ratio * theirs };
}

/** Creates an aim that is a lower limit, as a multiple of the peer's number. */
export function atLeastTimes(ratio: number, text = `${ratio} ×`): Aim {
  return { text, isBesidePeer: true, isMet: (ours, theirs) => ours >= ratio * theirs };
}

/** Creates the aim to exceed the peer's number. */
export function aheadOfPeer(text: string): Aim {
  return { text, isBesidePeer: true, isMet: (ours, theirs) => ours > theirs };
}
