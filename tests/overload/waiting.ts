/** Waits that end early when a signal fires. */
import { setTimeout } from "node:timers/promises";

/** Waits for a time, or until the signal fires. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {});
}

/** Waits until a condition holds; returns false if it does not hold in time, or when the signal fires. */
export async function waitUntil(isMet: () => boolean, signal: AbortSignal, withinMs = Infinity): Promise<boolean> {
  for (const end = performance.now() + withinMs; !isMet();) {
    if (signal.aborted || performance.now() > end) return false;
    await pause(5, signal);
  }
  return true;
}

/** Runs a task until `count` runs have succeeded, several in parallel; retries failures until the signal fires. */
export async function repeat(
  count: number,
  width: number,
  signal: AbortSignal,
  run: () => Promise<void>,
): Promise<void> {
  let begun = 0;
  await Promise.all(Array.from({ length: Math.min(width, count) }, async () => {
    while (begun < count && !signal.aborted) {
      begun++;
      await run().catch(async () => {
        begun--;
        await pause(20, signal);
      });
    }
  }));
}
