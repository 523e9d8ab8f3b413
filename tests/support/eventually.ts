/** Waits for the effects of another process. */

const LOOK_EVERY_MS = 50;

/** Returns the first answer; fails with the description of the awaited condition. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  withinMs = 180_000,
): Promise<T> {
  const until = Date.now() + withinMs;
  // The last look begins when the time is over: the machine may have held up this process since the one before.
  for (let isOver = false; !isOver;) {
    isOver = Date.now() >= until;
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error(`${what}: not within ${withinMs} ms`);
}
