/** Waits until the signal of the attack fires. */
import { setTimeout } from "node:timers/promises";

/** Waits for a time, or until the signal ends the wait. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {});
}

/** Waits until a condition holds; false when it did not in time, or when the signal fired. */
export async function waitUntil(isSo: () => boolean, signal: AbortSignal, withinMs = Infinity): Promise<boolean> {
  for (const end = performance.now() + withinMs; !isSo();) {
    if (signal.aborted || performance.now() > end) return false;
    await pause(5, signal);
  }
  return true;
}

/** Repeats a task, several at once, until `count` of them have succeeded; retries failures until the signal fires. */
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
