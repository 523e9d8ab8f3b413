/** The machine's own clock and randomness, as the ports see them. */
import { getRandomValues } from "node:crypto";
import type { Clock, Random } from "../core/ports.ts";

/**
 * The longest single timer: a machine that slept wakes up to its deadline within this time, and timers above 2³¹−1 ms
 * (which fire at once) cannot arise.
 */
const SLICE_MS = 30_000;

/** Wall-clock time; waiting goes in slices of at most 30 s, each re-checked against the wall clock. */
export function createSystemClock(): Clock {
  return {
    now: () => new Date(),
    async sleepUntil(deadline, signal) {
      signal.throwIfAborted();
      for (let leftMs = deadline.getTime() - Date.now(); leftMs > 0; leftMs = deadline.getTime() - Date.now()) {
        await delay(Math.min(leftMs, SLICE_MS), signal);
      }
    },
  };
}

/** Randomness of the operating system. */
export function createSystemRandom(): Random {
  return {
    bytes: (length) => getRandomValues(new Uint8Array(length)),
    float: () => Math.random(),
  };
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
