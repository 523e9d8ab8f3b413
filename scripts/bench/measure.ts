/** Taking times: several runs of ours and of the peer in turn, so that a busy machine slows both. */

/** What one line of the table compares. */
export interface Comparison {
  /** What is done, in a few words. */
  readonly what: string;
  /** What ours is compared with. */
  readonly peer: string;
  /** The aim of the design, in words; a wish, never a limit. */
  readonly aim: string;
  readonly runs: number;
  /** Seconds of one run. */
  readonly ours: () => Promise<number>;
  readonly theirs: () => Promise<number>;
}

/** One line of the table. */
export interface Line extends Pick<Comparison, "what" | "peer" | "aim"> {
  /** Seconds, sorted. */
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

/** Runs a comparison. A run that fails fails the benchmark; a slow one never does. */
export async function compare(comparison: Comparison): Promise<Line> {
  const { what, peer, aim } = comparison;
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let run = 0; run < comparison.runs; run++) {
    // Who goes first changes, so that neither always finds the warmer machine.
    const order = run % 2 === 0 ? [ours, theirs] : [theirs, ours];
    for (const list of order) list.push(await (list === ours ? comparison.ours() : comparison.theirs()));
  }
  return { what, peer, aim, ours: ours.sort(ascending), theirs: theirs.sort(ascending) };
}

/** Seconds that something takes. */
export async function secondsOf(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return (performance.now() - startedAt) / 1000;
}

/** The middle of a sorted list. */
export function medianOf(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  const lower = sorted.length % 2 === 0 ? sorted[middle - 1] : upper;
  if (upper === undefined || lower === undefined) throw new Error("cannot take the median of nothing");
  return (lower + upper) / 2;
}

function ascending(one: number, other: number): number {
  return one - other;
}
