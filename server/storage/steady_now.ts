/**
 * The time of a store: the wall clock at its opening, and what has passed since. History and Events age by it, so that a
 * clock that is set forward ends no watch, and one that is set back keeps nothing for ever.
 */
import type { Clock } from "../../core/ports.ts";

/** Milliseconds since 1970 by the time of a store that is opened now. */
export function createSteadyNow(clock: Clock): () => number {
  const offsetMs = clock.now().getTime() - clock.elapsedMs();
  return () => Math.floor(offsetMs + clock.elapsedMs());
}
