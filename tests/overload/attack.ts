/** The definition of an attack, and the account of it: an attack that did not take place proves nothing. */

export const DEEDS = ["opened", "refused", "sent", "answered", "created", "ended"] as const;

/** The actions of an attack, and their results. */
export interface Tally {
  /** Connections that were made, with their handshake if the attack wants one. */
  opened: number;
  /** Connections that could not be made. */
  refused: number;
  /** Requests, bytes or frames that the kernel took; each attack says which. */
  sent: number;
  /** The number of answers of the kind that the attack waits for. */
  answered: number;
  /** Certificate signing requests that were created. */
  created: number;
  /** Connections that the server ended. */
  ended: number;
}

/** The dependencies of an attack. */
export interface Target {
  readonly port: number;
  /** A bootstrap token: what any machine of the instance has. */
  readonly token: string;
  /** 1 for the figures of the manual, less for a short run. */
  readonly scale: number;
  /** The shortest duration of a flood, or how long opened connections are held. */
  readonly ms: number;
  /** Returns a random number, uniform in [0, 1). */
  random(): number;
  readonly tally: Tally;
  /** Reports whether the attack has reached its aim. */
  isEnough(): boolean;
  /** Ends an attack that would not end by itself, such as a count that is never reached. */
  readonly deadline: AbortSignal;
}

export interface Attack {
  readonly name: string;
  /** The noun for what `sent` counts. */
  readonly unit: string;
  /** The aim at scale 1, of which a smaller scale takes a share. */
  readonly least: Partial<Tally>;
  /** Runs until its time is over and its aim is reached, or until the deadline. */
  run(target: Target): Promise<void>;
}

/** Creates a tally before anything has been done. */
export function createTally(): Tally {
  return { opened: 0, refused: 0, sent: 0, answered: 0, created: 0, ended: 0 };
}

/** Scales a count, to at least one. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** Lists what is missing before the attack counts as having taken place. */
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

/** Formats the actions of an attack in words. */
export function formatTally(unit: string, tally: Tally): string {
  return DEEDS.filter((deed) => tally[deed] > 0).map((deed) => {
    const count = tally[deed].toLocaleString("en");
    return deed === "sent" ? `${count} ${unit}` : `${count} ${deed}`;
  }).join(", ");
}
