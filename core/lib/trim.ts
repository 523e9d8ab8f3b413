/**
 * Trimming of characters other than white space. An expression such as `/-+$/` would take quadratic time, because it
 * tries every run of the character and not only the last one.
 */

/** Removes these characters from the beginning of the text. */
export function trimStartChars(text: string, characters: string): string {
  let start = 0;
  while (start < text.length && characters.includes(text[start]!)) start++;
  return text.slice(start);
}

/** Removes these characters from the end of the text. */
export function trimEndChars(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** Removes these characters from both ends of the text. */
export function trimChars(text: string, characters: string): string {
  return trimEndChars(trimStartChars(text, characters), characters);
}
