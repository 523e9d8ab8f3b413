/** Waits for the effects of another process. */

const POLL_MS = 50;

/** Polls until there is an answer, and returns it; `what` describes it in the error. */
export async function eventually<T>(
  what: string,
  poll: () => Promise<T | undefined>,
  withinMs = 180_000,
): Promise<T> {
  const until = Date.now() + withinMs;
  // Polls once more after the deadline, because a busy machine may have delayed this process.
  for (let isOver = false; !isOver;) {
    isOver = Date.now() >= until;
    const found = await poll();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${what}: not within ${withinMs} ms`);
}
