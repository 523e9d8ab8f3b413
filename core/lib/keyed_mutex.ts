/** Runs one task at a time for each key; tasks with different keys do not wait for each other. */
export interface KeyedMutex {
  /** Runs a task after every earlier task with the same key has ended, even if one failed. */
  runExclusive<T>(key: string, task: () => Promise<T>): Promise<T>;
}

/** Creates a mutex that keeps only the keys in use. */
export function createKeyedMutex(): KeyedMutex {
  const last = new Map<string, Promise<unknown>>();
  return {
    async runExclusive(key, task) {
      const before = last.get(key) ?? Promise.resolve();
      const mine = before.then(task, task);
      last.set(key, mine);
      try {
        return await mine;
      } finally {
        if (last.get(key) === mine) last.delete(key);
      }
    },
  };
}
