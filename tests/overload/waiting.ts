/** Waits until the signal of the attack fires. */

/** Waits for a time, or until the signal ends the wait. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Waits until the signal fires. */
export function until(over: AbortSignal): Promise<void> {
  if (over.aborted) return Promise.resolve();
  return new Promise((resolve) => over.addEventListener("abort", () => resolve(), { once: true }));
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
