/** What a benchmark is made of: a scenario is acted by us and by a peer in turn, and gives a number for each of its lines. */
import type { Program } from "./program.ts";
import type { Usage } from "./processes.ts";

/** What a number of a line means. */
export type Unit = "s" | "ms" | "/s" | "MB" | "%";

/** One number of one run. */
export interface Reading {
  readonly value: number;
  /** Of the body of the answer that was timed. */
  readonly bytes?: number;
  /** Times that a client had no answer and asked again. */
  readonly retries?: number;
  /** What the servers used for it, etcd included: CPU seconds of this line alone, memory at its end. */
  readonly usage?: Usage;
  /** What of that was etcd's. */
  readonly etcd?: Usage;
}

/** An aim of the design, never a limit. */
export interface Aim {
  readonly text: string;
  /** Whether it is a ratio, so that it stands wherever both sides are measured alike. */
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
  findAim(form: Program["form"]): Aim | undefined;
}

/** Readings by the key of their line. */
export type Readings<Key extends string> = Readonly<Record<Key, Reading>>;

export interface Scenario<Key extends string = string> {
  readonly lines: Readonly<Record<Key, Line>>;
  /** For short ones that need more runs: how many in one round. */
  readonly runsPerRound?: number;
  /** Forms that it can be acted in; all when undefined. */
  readonly forms?: readonly Program["form"][];
  ours(program: Program): Promise<Readings<Key>>;
  theirs(): Promise<Readings<Key>>;
}

/** At most so much, in the unit of the line. */
export function atMost(limit: number, text: string): Aim {
  return { text, isBesidePeer: false, isMet: (ours) => ours <= limit };
}

/** At least so much, in the unit of the line. */
export function atLeast(limit: number, text: string): Aim {
  return { text, isBesidePeer: false, isMet: (ours) => ours >= limit };
}

/** At most so many times the peer's number. */
export function atMostTimes(ratio: number, text: string): Aim {
  return { text, isBesidePeer: true, isMet: (ours, theirs) => ours <= ratio * theirs };
}

/** More than the peer's number. */
export function aheadOfPeer(text: string): Aim {
  return { text, isBesidePeer: true, isMet: (ours, theirs) => ours > theirs };
}

/** The same aim for every form. */
export function always(aim: Aim | undefined): Line["findAim"] {
  return () => aim;
}
