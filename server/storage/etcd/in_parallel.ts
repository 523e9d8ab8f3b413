/** Many calls at once, but not all. */

/** How many wait for an answer at the same time; etcd writes to its disk once for all that come together. */
const WIDTH = 64;

/** Runs a task for each item; the first failure ends it, once what has begun is over. */
export async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const failures: unknown[] = [];
  const work = async () => {
    for (const item of rest) {
      if (failures.length > 0) return;
      await run(item).catch((error: unknown) => void failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(WIDTH, items.length) }, work));
  if (failures.length > 0) throw failures[0];
}
