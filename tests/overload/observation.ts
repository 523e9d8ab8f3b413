/** The observations during one attack: the answers to honest clients, memory, and the log. */
import type { Attack, Tally } from "./attack.ts";

/** The kinds of honest requests: a list, a readiness probe, a certificate, a token for a proof. */
export const KINDS = ["admin", "probe", "node", "proof"] as const;

export type Kind = (typeof KINDS)[number];

/** One answer, as `honest.ts` prints it. */
export interface Answer {
  readonly kind: Kind;
  /** 200 for the expected answer, 0 if there was none. */
  readonly code: number;
  /** The milliseconds until the answer, until the certificate is issued, or until a proof has its token. */
  readonly ms: number;
}

/** The answers printed so far, each returned once. */
export interface Account {
  /** Returns the answers since the last call. */
  take(): readonly Answer[];
}

/** Creates an account of a growing text of lines. */
export function createAccount(text: () => string): Account {
  let read = 0;
  return {
    take() {
      const all = text();
      const end = all.lastIndexOf("\n") + 1;
      const lines = all.slice(read, end).split("\n").filter((line) => line !== "");
      read = Math.max(read, end);
      return lines.map((line) => JSON.parse(line) as Answer);
    },
  };
}

/** Returns the kinds of which no answer is there. */
export function missingKinds(answers: readonly Answer[]): readonly Kind[] {
  return KINDS.filter((kind) => !answers.some((answer) => answer.kind === kind));
}

export interface Observation {
  readonly attack: Pick<Attack, "name" | "unit" | "least">;
  readonly tally: Tally;
  /** The duration of the attack, including the pause after it. */
  readonly seconds: number;
  /** Resident memory of the server, in megabytes. */
  readonly rss: Memory;
  /** The answers that honest clients received. */
  readonly answers: readonly Answer[];
  readonly log: LogLines;
  /** The numbers of objects that were stored during the attack. */
  readonly stored: StoredCounts;
}

/** Numbers of objects in the storage. */
export interface StoredCounts {
  readonly secrets: number;
  /** The number of Events about refused proofs. */
  readonly refusals: number;
}

/** Memory before an attack, its peak during it, and after it. */
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
export type LogLines = Readonly<Record<string, number>>;

/** The key for lines that are not log lines, such as the messages of `up` to a person. */
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
