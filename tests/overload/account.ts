/** The account of an honest client: every answer that it received, none omitted and none counted twice. */

/** The kinds of honest requests: a list, a readiness probe, a certificate. */
export const KINDS = ["admin", "probe", "node"] as const;

export type Kind = (typeof KINDS)[number];

/** One answer, as `honest.ts` prints it. */
export interface Answer {
  readonly kind: Kind;
  /** 200 for the expected answer, 0 when there was none. */
  readonly code: number;
  /** The time of a certificate, from its request until it is issued. */
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
