/** Looks a word of a client up in a table. Properties that every object inherits, such as `constructor`, are not found. */
export function lookup<T>(table: Readonly<Record<string, T>>, word: string): T | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
