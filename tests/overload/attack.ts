/** What an attack is, and the account of it: nothing is shown by one that did not take place. */

export const DEEDS = ["opened", "refused", "sent", "answered", "created", "ended"] as const;

/** What an attack did, and what became of it. */
export interface Tally {
  /** Connections that were made, with their handshake if the attack wants one. */
  opened: number;
  /** Connections that could not be made. */
  refused: number;
  /** Requests, bytes or frames that the kernel took; each attack says which. */
  sent: number;
  /** Answers of the kind that the attack waits for. */
  answered: number;
  /** Certificate signing requests that were created. */
  created: number;
  /** Connections that the server ended. */
  ended: number;
}

/** What an attack works with. */
export interface Target {
  readonly port: number;
  /** A bootstrap token: what any machine of the instance has. */
  readonly token: string;
  /** 1 for the figures of the manual, less for a short run. */
  readonly scale: number;
  /** How long a flood lasts at least, or what has been opened is held. */
  readonly ms: number;
  /** Returns a random number, uniform in [0, 1). */
  random(): number;
  readonly tally: Tally;
  /** Whether it has come to what it has to. */
  isEnough(): boolean;
  /** Ends what would not end by itself, such as a count that is never reached. */
  readonly deadline: AbortSignal;
}

export interface Attack {
  readonly name: string;
  /** The noun for what `sent` counts. */
  readonly unit: string;
  /** What it has to come to at scale 1, and to a share of at less. */
  readonly least: Partial<Tally>;
  /** Goes on until its time is over and it has done enough, or the deadline is there. */
  run(target: Target): Promise<void>;
}

/** Creates a tally before anything has been done. */
export function createTally(): Tally {
  return { opened: 0, refused: 0, sent: 0, answered: 0, created: 0, ended: 0 };
}

/** So many at a scale, one at least. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** What is lacking before it can be said that the attack took place. */
export function lacking(
  { least, unit }: Pick<Attack, "least" | "unit">,
  tally: Tally,
  scale: number,
): readonly string[] {
  return DEEDS.flatMap((deed) => {
    const wanted = least[deed];
    if (wanted === undefined || tally[deed] >= scaled(wanted, scale)) return [];
    const what = deed === "sent" ? `${unit} sent` : deed;
    return [`nothing is proved: ${tally[deed]} ${what}, ${scaled(wanted, scale)} are wanted`];
  });
}

/** What was done, in words. */
export function formatTally(unit: string, tally: Tally): string {
  return DEEDS.filter((deed) => tally[deed] > 0).map((deed) => {
    const count = tally[deed].toLocaleString("en");
    return deed === "sent" ? `${count} ${unit}` : `${count} ${deed}`;
  }).join(", ");
}
