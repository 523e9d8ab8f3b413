/**
 * Trimming of characters other than white space, and splitting of escaped text. An expression such as `/-+$/` would take
 * quadratic time, because it tries every run of the character and not only the last one.
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

/** Splits a text at separators that no backslash precedes. The escapes stay as they are. */
export function splitUnescaped(text: string, isSeparator: (char: string, at: number) => boolean): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === "\\") at++;
    else if (isSeparator(char, at)) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}
