/**
 * The time of a store: the wall clock at its opening plus the elapsed time since. History and Events age by it, so that
 * setting the clock forward ends no watch, and setting it back keeps nothing forever.
 */
import type { Clock } from "../../core/ports.ts";

/** Creates a function that returns the time of a store opened now, in milliseconds since 1970. */
export function createSteadyNow(clock: Clock): () => number {
  const offsetMs = clock.now().getTime() - clock.elapsedMs();
  return () => Math.floor(offsetMs + clock.elapsedMs());
}
