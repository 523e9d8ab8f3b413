/** Reports whether memory stays constant. */
import { findMedian } from "./stats.ts";

export interface Sample {
  /** Milliseconds since the start of the measurement. */
  readonly atMs: number;
  readonly residentBytes: number;
}

/** Median of the last quarter of the time divided by that of the quarter before. Throws when one of them has no sample. */
export function growthAtTheEnd(samples: readonly Sample[]): number {
  const end = samples.at(-1)?.atMs ?? 0;
  const between = (from: number, to: number): number =>
    findMedian(
      samples.filter(({ atMs }) => atMs > from * end && atMs <= to * end).map(({ residentBytes }) => residentBytes),
    );
  return between(0.75, 1) / between(0.5, 0.75);
}
