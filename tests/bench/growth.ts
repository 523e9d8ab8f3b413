/** The axes of growth, and whether a line bends upward. */

/** One count of one side. */
export interface GrowthPoint {
  readonly count: number;
  /** The milliseconds of one node, request or event. */
  readonly milliseconds: number;
  readonly megabytes: number;
  readonly cpuSeconds: number;
  /** How often a client had no answer and retried. */
  readonly retries: number;
}

/** The factor that noise may add to a line that is flat or straight. */
const NOISE = 1.25;

/** Reports whether a cost per item is higher for the largest count than for the one before it. */
export function risesAtTheEnd(costs: readonly number[]): boolean {
  const [before, last] = costs.slice(-2);
  return before !== undefined && last !== undefined && last > before * NOISE;
}

/** Reports whether the last stretch of a line is steeper than the one before; a line of two points is straight. */
export function bendsUpward(points: readonly { readonly x: number; readonly y: number }[]): boolean {
  const [first, middle, last] = points.slice(-3);
  if (first === undefined || middle === undefined || last === undefined) return false;
  const before = (middle.y - first.y) / (middle.x - first.x);
  const after = (last.y - middle.y) / (last.x - middle.x);
  return after > Math.max(before, 0) * NOISE && last.y > middle.y * NOISE;
}
