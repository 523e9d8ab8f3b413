/** The faults that a storm inflicts on its instance: which, in what order, for how long, and how often each happened. */
import type { Clock, Random } from "../../core/ports.ts";

/** The faults, by their names in `--faults`. */
export const FAULT_KINDS = ["kill", "pause", "clock", "partition", "compact", "upgrade"] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** How often each fault happened. */
export type FaultCounts = Readonly<Record<FaultKind, number>>;

/** What one fault is in the summary. */
const NOUNS: Readonly<Record<FaultKind, string>> = {
  kill: "kills",
  pause: "pauses",
  clock: "clock steps",
  partition: "partitions",
  compact: "compactions",
  upgrade: "upgrades and downgrades",
};

/** A fault that lasts is no longer than this, and no longer than a part of the storm. */
const LONGEST_MS = 60_000;
const SHORTEST_MS = 1_000;
const SHARE_OF_STORM = 10;

export interface FaultsOptions {
  readonly kinds: readonly FaultKind[];
  /** The duration of the storm, in seconds. */
  readonly seconds: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds; ends with the storm. */
  readonly pause: (ms: number) => Promise<void>;
  /** Called with each fault as it begins or happens. */
  readonly onInflicted: (kind: FaultKind) => void;
}

/** Draws faults, and keeps account of them. */
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

  /** Draws the next fault: each kind once, in a random order, before any comes again. */
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
   * Counts a fault that a server outlives, runs `during` while it lasts, and heals it. It lasts as long as `during`, and
   * no shorter than the drawn time: most are short, a few the longest possible.
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

  /** The elapsed time of the clock since which no server is held up: now, while one is. */
  calmSinceMs(): number {
    return this.#underway > 0 ? this.#options.clock.elapsedMs() : this.#lastEndMs;
  }
}

/** Formats the faults that were chosen: `12 kills, 3 pauses`. */
export function formatFaults(counts: FaultCounts, kinds: readonly FaultKind[]): string {
  return kinds.map((kind) => `${counts[kind]} ${NOUNS[kind]}`).join(", ");
}

/** Lists the chosen faults that did not happen. */
export function findMissingFaults(counts: FaultCounts, kinds: readonly FaultKind[]): readonly string[] {
  return kinds.filter((kind) => counts[kind] === 0).map((kind) => NOUNS[kind]);
}
