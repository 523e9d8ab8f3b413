/** How many tasks run at the same time; etcd writes to its disk once for all requests that come together. */
const WIDTH = 64;

/** Runs a task for each item, a limited number at once. The first failure rejects after the running tasks have ended. */
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
