/** The observations during one attack: the answers to honest clients, memory, and the log. */
import type { Attack, Tally } from "./attack.ts";

/** The kinds of honest requests: for a list, readiness, a certificate, and a token in exchange for a proof. */
export const KINDS = ["admin", "probe", "node", "proof"] as const;

export type Kind = (typeof KINDS)[number];

/** One answer, as `honest.ts` prints it. */
export interface Answer {
  readonly kind: Kind;
  /** 200 for the expected answer, 0 if there was none. */
  readonly code: number;
  /** The milliseconds until the answer, the certificate or the token. */
  readonly ms: number;
}

/** Reads the answers that honest clients print. */
export interface AnswerReader {
  /** Returns the answers since the last call. */
  take(): readonly Answer[];
}

/** Creates a reader of a growing text, which skips an unfinished last line. */
export function createAnswerReader(text: () => string): AnswerReader {
  let read = 0;
  return {
    take() {
      const printed = text();
      const end = printed.lastIndexOf("\n") + 1;
      const lines = printed.slice(read, end).split("\n").filter((line) => line !== "");
      read = Math.max(read, end);
      return lines.map((line) => JSON.parse(line) as Answer);
    },
  };
}

/** Lists the kinds without an answer. */
export function findMissingKinds(answers: readonly Answer[]): readonly Kind[] {
  return KINDS.filter((kind) => !answers.some((answer) => answer.kind === kind));
}

export interface Observation {
  readonly attack: Pick<Attack, "name" | "unit" | "required">;
  readonly tally: Tally;
  /** The duration of the attack, including the pause after it. */
  readonly seconds: number;
  /** Resident memory of the server, in megabytes. */
  readonly rss: Memory;
  /** The answers that honest clients received. */
  readonly answers: readonly Answer[];
  readonly log: LogLines;
  /** The objects that were stored during the attack. */
  readonly stored: StoredCounts;
}

/** Numbers of objects in the storage. */
export interface StoredCounts {
  readonly secrets: number;
  /** The number of Events about refused proofs. */
  readonly refusals: number;
}

/** Memory before an attack, its peak during it, and after it. */
interface Memory {
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

/** Summarizes the times of one kind of answers; NaN if there are none. */
export function summarizeTimes(answers: readonly Answer[], kind: Kind): Times {
  const sorted = answers.filter((answer) => answer.kind === kind).map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), longest: sorted.at(-1) ?? NaN };
}

/** Returns the peak memory of the server over all observations. */
export function findPeak(observations: readonly Observation[]): number {
  return Math.max(...observations.map(({ rss }) => rss.peak));
}

/** The number of log lines with each message. */
type LogLines = Readonly<Record<string, number>>;

/** The key for other lines, such as the messages of `up` to a person. */
export const NO_MESSAGE = "(no message)";

/** Counts the lines of a JSON log by message. */
export function countLines(text: string): LogLines {
  const counts: Record<string, number> = {};
  for (const line of text.split("\n").filter((line) => line.trim() !== "")) {
    const message = parseMessage(line);
    counts[message] = (counts[message] ?? 0) + 1;
  }
  return counts;
}

export function sumLines(lines: LogLines): number {
  return Object.values(lines).reduce((sum, count) => sum + count, 0);
}

function parseMessage(line: string): string {
  try {
    const { message } = JSON.parse(line) as { readonly message?: unknown };
    return typeof message === "string" ? message : NO_MESSAGE;
  } catch {
    return NO_MESSAGE;
  }
}
