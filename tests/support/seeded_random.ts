/** Randomness that is the same in every run. */
import type { Random } from "../../core/ports.ts";

/** A random source from a seed (mulberry32); for tests only. */
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
