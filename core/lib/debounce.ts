/** Debouncing: a changed value counts only after it has lasted, so that a flapping network causes no requests. */

/** The settled value, and a candidate that may replace it. */
export interface Debounced<T> {
  readonly settled: T;
  /** Another value than `settled`, and since when it has been observed, in elapsed milliseconds. */
  readonly candidate?: { readonly value: T; readonly since: number };
}

/** The state after an observation. A new value is settled once it was observed for `quietMs` without interruption. */
export function debounce<T>(
  state: Debounced<T>,
  value: T,
  elapsedMs: number,
  rules: { readonly quietMs: number; readonly isEqual: (a: T, b: T) => boolean },
): Debounced<T> {
  if (rules.isEqual(value, state.settled)) return { settled: state.settled };
  const { candidate } = state;
  const since = candidate !== undefined && rules.isEqual(value, candidate.value) ? candidate.since : elapsedMs;
  if (elapsedMs - since >= rules.quietMs) return { settled: value };
  return { settled: state.settled, candidate: { value, since } };
}
