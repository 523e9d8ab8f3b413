/** The definition of an attack and its tally. An attack that did not take place proves nothing. */

export const ACTIONS = ["opened", "refused", "sent", "answered", "created", "ended"] as const;

/** The actions of an attack, and their results. */
export interface Tally {
  /** Connections that were opened, including the handshake if the attack has one. */
  opened: number;
  /** Connections that could not be opened. */
  refused: number;
  /** Requests, bytes or frames that were written to sockets; `unit` says which. */
  sent: number;
  /** Answers of the kind that the attack waits for. */
  answered: number;
  /** Certificate signing requests that were created. */
  created: number;
  /** Connections that the server closed. */
  ended: number;
}

/** The dependencies of an attack. */
export interface Target {
  readonly port: number;
  /** A bootstrap token, which any machine of the instance has. */
  readonly token: string;
  /** 1 for the counts in the documentation, less for a short run. */
  readonly scale: number;
  /** The shortest duration of a flood, or how long opened connections are held. */
  readonly ms: number;
  /** Returns a random number, uniform in [0, 1). */
  random(): number;
  readonly tally: Tally;
  /** Reports whether the attack has reached its required counts. */
  isEnough(): boolean;
  /** Ends an attack that would not end by itself, such as a count that is never reached. */
  readonly deadline: AbortSignal;
}

export interface Attack {
  readonly name: string;
  /** The noun for what `sent` counts. */
  readonly unit: string;
  /** The required counts at scale 1. */
  readonly least: Partial<Tally>;
  /** Runs until its time is over and the required counts are reached, or until the deadline. */
  run(target: Target): Promise<void>;
}

/** Creates a tally with all counts at zero. */
export function createTally(): Tally {
  return { opened: 0, refused: 0, sent: 0, answered: 0, created: 0, ended: 0 };
}

/** Scales a count, to at least one. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** Lists the counts that are too low for the attack to prove anything. */
export function findShortfalls(
  { least, unit }: Pick<Attack, "least" | "unit">,
  tally: Tally,
  scale: number,
): readonly string[] {
  return ACTIONS.flatMap((action) => {
    const wanted = least[action];
    if (wanted === undefined || tally[action] >= scaled(wanted, scale)) return [];
    const what = action === "sent" ? `${unit} sent` : action;
    return [`nothing is proved: ${tally[action]} ${what}, ${scaled(wanted, scale)} are wanted`];
  });
}

/** Formats the actions of an attack in words. */
export function formatTally(unit: string, tally: Tally): string {
  return ACTIONS.filter((action) => tally[action] > 0).map((action) => {
    const count = tally[action].toLocaleString("en");
    return action === "sent" ? `${count} ${unit}` : `${count} ${action}`;
  }).join(", ");
}
