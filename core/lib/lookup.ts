/** Tables that are asked with the words of strangers. */

/** What a table has under a word. What every object inherits, such as `constructor`, is in no table. */
export function lookup<T>(table: Readonly<Record<string, T>>, word: string): T | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
