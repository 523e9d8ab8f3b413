/** Changes that count only once they last: a network that comes and goes must not make a request each time. */

/** What counts, and what may come to count. */
export interface Debounced<T> {
  readonly settled: T;
  /** Seen since then (in elapsed milliseconds), other than `settled`. */
  readonly candidate?: { readonly value: T; readonly since: number };
}

/** The state after an observation: another value counts when it was seen without interruption for so long. */
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
