/** Changes that count only once they last: a network that comes and goes must not make a request each time. */

/** What counts, and what may come to count. */
export interface Settling<T> {
  readonly settled: T;
  /** Seen since then, other than `settled`. */
  readonly candidate?: { readonly value: T; readonly since: Date };
}

/** The state after an observation: another value counts when it was seen without interruption for so long. */
export function observe<T>(
  state: Settling<T>,
  value: T,
  now: Date,
  rules: { readonly quietMs: number; readonly isEqual: (a: T, b: T) => boolean },
): Settling<T> {
  if (rules.isEqual(value, state.settled)) return { settled: state.settled };
  const { candidate } = state;
  // A clock that was set back begins the wait again.
  const isOngoing = candidate !== undefined && rules.isEqual(value, candidate.value) && candidate.since <= now;
  const since = isOngoing ? candidate.since : now;
  if (now.getTime() - since.getTime() >= rules.quietMs) return { settled: value };
  return { settled: state.settled, candidate: { value, since } };
}
