/** Choices from a random source. */
import type { Random } from "../../core/ports.ts";

/** A whole number from 0, below a bound; 0 for bounds below 1. */
export function below(random: Random, bound: number): number {
  return Math.floor(random.float() * Math.max(bound, 0));
}

/** Returns true once in `times` times, on average. */
export function oneIn(random: Random, times: number): boolean {
  return below(random, times) === 0;
}

/** Picks an element of a list, which is not empty. */
export function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)] as T;
}

/** A number below a bound, small ones more often. */
export function mostlySmall(random: Random, bound: number): number {
  return Math.floor(bound ** random.float());
}
