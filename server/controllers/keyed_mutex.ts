/** One thing at a time for each key; different keys do not wait for each other. */

/** Takes turns. */
export interface KeyedMutex {
  /** Runs after all that was begun before with the same key. */
  runExclusive<T>(key: string, task: () => Promise<T>): Promise<T>;
}

/** Makes one. */
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
