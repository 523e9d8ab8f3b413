/** Several things of one kind that start at the same time. */

/**
 * Starts several servers at once. The owner of the stack ends them, including those that did start when another one
 * failed.
 */
export async function startTogether<Started extends AsyncDisposable>(
  stack: AsyncDisposableStack,
  count: number,
  start: () => Promise<Started>,
): Promise<readonly Started[]> {
  const outcomes = await Promise.allSettled(Array.from({ length: count }, async () => stack.use(await start())));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}
