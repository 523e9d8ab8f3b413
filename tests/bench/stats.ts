/** Numbers out of several runs. */

/** The middle of numbers in any order. Throws for none. */
export function findMedian(values: readonly number[]): number {
  const sorted = toSorted(values);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  const lower = sorted.length % 2 === 0 ? sorted[middle - 1] : upper;
  if (upper === undefined || lower === undefined) throw new Error("cannot take the median of nothing");
  return (lower + upper) / 2;
}

/** The smallest and the largest. Throws for none. */
export function findSpread(values: readonly number[]): readonly [number, number] {
  const sorted = toSorted(values);
  const [least] = sorted;
  const most = sorted.at(-1);
  if (least === undefined || most === undefined) throw new Error("cannot take the spread of nothing");
  return [least, most];
}

function toSorted(values: readonly number[]): readonly number[] {
  return [...values].sort((one, other) => one - other);
}
