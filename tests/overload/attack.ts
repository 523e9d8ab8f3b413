/** The definition of an attack and the counts of its actions. An attack that did not take place proves nothing. */

const ACTIONS = ["opened", "refused", "sent", "answered", "created", "ended"] as const;

/** The counts of an attack. */
export interface Tally {
  /** Connections that were opened, including the handshake if the attack has one. */
  opened: number;
  /** Connections that could not be opened. */
  refused: number;
  /** Requests, bytes or frames that were written to sockets, as `unit` says. */
  sent: number;
  /** Answers that the attack waits for. */
  answered: number;
  /** Certificate signing requests that were created. */
  created: number;
  /** Connections that the server closed. */
  ended: number;
}

/** The server under attack, and the size of the attack. */
export interface Target {
  readonly port: number;
  /** A bootstrap token, which every machine has. */
  readonly token: string;
  /** 1 for the counts of the measurements, less for a short run. */
  readonly scale: number;
  /** The shortest duration of a flood, or how long opened connections are held. */
  readonly ms: number;
  /** Returns a random number, uniform in [0, 1). */
  random(): number;
  readonly tally: Tally;
  /** Reports whether the attack has reached its required counts. */
  isEnough(): boolean;
  /** Ends an attack that would never reach its required counts. */
  readonly deadline: AbortSignal;
}

export interface Attack {
  readonly name: string;
  /** The noun for what `sent` counts. */
  readonly unit: string;
  /** The required counts at scale 1. */
  readonly required: Partial<Tally>;
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
  { required, unit }: Pick<Attack, "required" | "unit">,
  tally: Tally,
  scale: number,
): readonly string[] {
  return ACTIONS.flatMap((action) => {
    const count = required[action];
    if (count === undefined || tally[action] >= scaled(count, scale)) return [];
    const what = action === "sent" ? `${unit} sent` : action;
    return [`nothing is proved: ${tally[action]} ${what}, ${scaled(count, scale)} are required`];
  });
}

/** Formats the counts that are not zero. */
export function formatTally(unit: string, tally: Tally): string {
  return ACTIONS.filter((action) => tally[action] > 0).map((action) => {
    const count = tally[action].toLocaleString("en");
    return action === "sent" ? `${count} ${unit}` : `${count} ${action}`;
  }).join(", ");
}
