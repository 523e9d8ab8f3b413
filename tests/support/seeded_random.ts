/** Randomness that is the same in every run, and choices from it. */
import type { Random } from "../../core/ports.ts";

/** Creates a random source from a seed (mulberry32). */
export function createSeededRandom(seed = 1): Random {
  let state = seed;
  function float(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  return { float, bytes: (length) => Uint8Array.from({ length }, () => Math.floor(float() * 256)) };
}

/** Returns a whole number from 0 to below the bound; 0 for a bound below 1. */
export function below(random: Random, bound: number): number {
  return Math.floor(random.float() * Math.max(bound, 0));
}

/** Returns true once in `times` times, on average. */
export function oneIn(random: Random, times: number): boolean {
  return below(random, times) === 0;
}

/** Picks an element of a list that is not empty. */
export function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)] as T;
}

/** Returns a whole number below the bound; small numbers are more likely. */
export function mostlySmall(random: Random, bound: number): number {
  return Math.floor(bound ** random.float());
}
