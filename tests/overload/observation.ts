/** The observations during one attack: every answer that an honest client received, memory, and the log. */
import type { Attack, Tally } from "./attack.ts";

/** The kinds of honest requests: a list, a readiness probe, a certificate, a token for a proof. */
export const KINDS = ["admin", "probe", "node", "proof"] as const;

export type Kind = (typeof KINDS)[number];

/** One answer, as `honest.ts` prints it. */
export interface Answer {
  readonly kind: Kind;
  /** 200 for the expected answer, 0 when there was none. */
  readonly code: number;
  /** The time until the answer; of a certificate until it is issued, and of a proof until there is a token. */
  readonly ms: number;
}

/** The answers printed so far, each returned once. */
export interface Account {
  /** Takes the answers that have not been taken yet. */
  take(): readonly Answer[];
}

/** Creates an account of a text that grows by lines. */
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

/** The kinds of which there is no answer. */
export function missingKinds(answers: readonly Answer[]): readonly Kind[] {
  return KINDS.filter((kind) => !answers.some((answer) => answer.kind === kind));
}

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
  /** The objects in the storage after the attack. */
  readonly stored: StoredCounts;
}

/** Numbers of objects in the storage. */
export interface StoredCounts {
  readonly secrets: number;
  /** The number of Events about refused proofs. */
  readonly refusals: number;
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

/** The number of lines of each message. */
export type LogLines = Readonly<Record<string, number>>;

/** Lines that are not of the log, such as the messages of `up` to a person. */
export const NO_MESSAGE = "(no message)";

/** Counts the lines of a piece of a log in JSON. */
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
