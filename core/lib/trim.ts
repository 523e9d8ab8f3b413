/**
 * Trimming of characters other than white space. An expression such as `/-+$/` would take quadratic time, because it
 * tries every run of the character and not only the last one.
 */

/** The text without any of these characters at its beginning. */
export function trimStartChars(text: string, characters: string): string {
  let start = 0;
  while (start < text.length && characters.includes(text[start]!)) start++;
  return text.slice(start);
}

/** The text without any of these characters at its end. */
export function trimEndChars(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** The text without any of these characters at either end. */
export function trimChars(text: string, characters: string): string {
  return trimEndChars(trimStartChars(text, characters), characters);
}
