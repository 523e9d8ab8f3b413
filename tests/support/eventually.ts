/** Waits for the effects of another process. */

const LOOK_EVERY_MS = 50;

/** Returns the first answer; fails with the description of the awaited condition. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  withinMs = 180_000,
): Promise<T> {
  for (const until = Date.now() + withinMs; Date.now() < until;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error(`${what}: not within ${withinMs} ms`);
}
