/** The observations during one attack, and response times in it. */
import type { Answer, Kind } from "./account.ts";
import type { Attack, Tally } from "./attack.ts";
import type { LogLines } from "./log_lines.ts";

export interface Observation {
  readonly attack: Pick<Attack, "name" | "unit" | "least">;
  readonly tally: Tally;
  /** How long the attack took, with the rest after it. */
  readonly seconds: number;
  /** Resident memory of the server, in megabytes. */
  readonly rss: Memory;
  /** The answers that honest clients received. */
  readonly answers: readonly Answer[];
  readonly log: LogLines;
}

/** Memory before an attack, its maximum during it, and after it. */
export interface Memory {
  readonly before: number;
  readonly peak: number;
  readonly after: number;
}

/** Response times of one kind, in milliseconds. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

/** Times of one kind of answers; NaN where there was none. */
export function summarizeTimes(answers: readonly Answer[], kind: Kind): Times {
  const sorted = answers.filter((answer) => answer.kind === kind).map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), longest: sorted.at(-1) ?? NaN };
}

/** The most memory that the server had in any of them. */
export function findPeak(observations: readonly Observation[]): number {
  return Math.max(...observations.map(({ rss }) => rss.peak));
}
