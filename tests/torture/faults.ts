/** The kinds, the order, the duration and the counts of the faults in a storm. */
import type { Clock, Random } from "../../core/ports.ts";

/** The faults, by their names in `--faults`. */
export const FAULT_KINDS = ["kill", "pause", "clock", "partition", "compact", "upgrade"] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export type FaultCounts = Readonly<Record<FaultKind, number>>;

const NOUNS: Readonly<Record<FaultKind, string>> = {
  kill: "kills",
  pause: "pauses",
  clock: "clock steps",
  partition: "partitions",
  compact: "compactions",
  upgrade: "upgrades and downgrades",
};

/** The longest time of a fault, which is also at most the time of the storm divided by `SHARE_OF_STORM`. */
const LONGEST_MS = 60_000;
const SHORTEST_MS = 1_000;
const SHARE_OF_STORM = 10;

interface FaultsOptions {
  readonly kinds: readonly FaultKind[];
  /** The duration of the storm, in seconds. */
  readonly seconds: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Waits for some milliseconds, or until the storm ends. */
  readonly pause: (ms: number) => Promise<void>;
  /** Called with each fault when it begins. */
  readonly onInflicted: (kind: FaultKind) => void;
}

/** Draws faults at random, and counts them. */
export class Faults {
  readonly #options: FaultsOptions;
  readonly #counts: Record<FaultKind, number> = { kill: 0, pause: 0, clock: 0, partition: 0, compact: 0, upgrade: 0 };
  #drawn: FaultKind[] = [];
  #underway = 0;
  #lastEndMs = 0;

  constructor(options: FaultsOptions) {
    this.#options = options;
  }

  get counts(): FaultCounts {
    return { ...this.#counts };
  }

  get kinds(): readonly FaultKind[] {
    return this.#options.kinds;
  }

  has(kind: FaultKind): boolean {
    return this.#options.kinds.includes(kind);
  }

  /** Draws the next fault. Each kind is drawn once, in random order, before any is drawn again. */
  draw(): FaultKind {
    if (this.#drawn.length === 0) this.#drawn = [...this.#options.kinds];
    const index = Math.floor(this.#options.random.float() * this.#drawn.length);
    return this.#drawn.splice(index, 1)[0]!;
  }

  count(kind: FaultKind, times = 1): void {
    this.#counts[kind] += times;
    this.#options.onInflicted(kind);
  }

  /**
   * Counts a fault, runs `during` while it lasts, and heals it. It lasts until `during` is done, and at least for the
   * drawn time, which is short in most cases.
   */
  async last(kind: FaultKind, heal: () => void | Promise<void>, during?: () => Promise<void>): Promise<void> {
    const { seconds, random, pause } = this.#options;
    const longestMs = Math.max(SHORTEST_MS, Math.min(LONGEST_MS, seconds * 1_000 / SHARE_OF_STORM));
    this.count(kind);
    this.#underway++;
    try {
      await Promise.all([pause(SHORTEST_MS * (longestMs / SHORTEST_MS) ** random.float()), during?.()]);
    } finally {
      await heal();
      this.#underway--;
      this.#lastEndMs = this.#options.clock.elapsedMs();
    }
  }

  /** Returns the elapsed time of the clock at which the last fault ended, or now if one is under way. */
  calmSinceMs(): number {
    return this.#underway > 0 ? this.#options.clock.elapsedMs() : this.#lastEndMs;
  }
}

/** Formats the counts of the chosen faults: `12 kills, 3 pauses`. */
export function formatFaults(counts: FaultCounts, kinds: readonly FaultKind[]): string {
  return kinds.map((kind) => `${counts[kind]} ${NOUNS[kind]}`).join(", ");
}

/** Lists the chosen faults that have not happened. */
export function findMissingFaults(counts: FaultCounts, kinds: readonly FaultKind[]): readonly string[] {
  return kinds.filter((kind) => counts[kind] === 0).map((kind) => NOUNS[kind]);
}
