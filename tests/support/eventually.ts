/** Waiting for what another process does. */

const LOOK_EVERY_MS = 50;

/** The first answer that is there; fails with what was waited for. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  withinMs = 20_000,
): Promise<T> {
  for (const until = Date.now() + withinMs; Date.now() < until;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error(`${what}: not within ${withinMs} ms`);
}
