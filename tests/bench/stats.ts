/** Statistics over the numbers of several runs. */

/** Finds the median of numbers in any order. Throws an Error if there are none. */
export function findMedian(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  const lower = sorted.length % 2 === 0 ? sorted[middle - 1] : upper;
  if (upper === undefined || lower === undefined) throw new Error("cannot take the median of nothing");
  return (lower + upper) / 2;
}

/** The factor by which noise may raise a flat or straight line. */
const NOISE = 1.25;

/** Reports whether a cost per item is higher for the largest count than for the second largest. */
export function risesAtTheEnd(costs: readonly number[]): boolean {
  const [before, last] = costs.slice(-2);
  return before !== undefined && last !== undefined && last > before * NOISE;
}

/** Reports whether the last segment of a line is steeper than the one before; a line of two points is straight. */
export function bendsUpward(points: readonly { readonly x: number; readonly y: number }[]): boolean {
  const [first, middle, last] = points.slice(-3);
  if (first === undefined || middle === undefined || last === undefined) return false;
  const before = (middle.y - first.y) / (middle.x - first.x);
  const after = (last.y - middle.y) / (last.x - middle.x);
  return after > Math.max(before, 0) * NOISE && last.y > middle.y * NOISE;
}

/** The memory of a server at one moment. */
export interface Sample {
  /** Milliseconds since the start of the measurement. */
  readonly atMs: number;
  readonly residentBytes: number;
}

/**
 * Divides the median of the last quarter of the time by that of the quarter before. Throws an Error if either has no
 * sample.
 */
export function growthAtTheEnd(samples: readonly Sample[]): number {
  const end = samples.at(-1)?.atMs ?? 0;
  const between = (from: number, to: number): number =>
    findMedian(
      samples.filter(({ atMs }) => atMs > from * end && atMs <= to * end).map(({ residentBytes }) => residentBytes),
    );
  return between(0.75, 1) / between(0.5, 0.75);
}
