/** Breaks text into lines of a width. */

/**
 * Breaks a text at its blanks, or a list of words, into lines of at most `width` characters. The first line begins with
 * `first`, all others with `indent`. A longer word has a line of its own and is not broken, because it may be a path or a
 * command. An empty text is one line.
 */
export function wrapWords(
  text: string | readonly string[],
  width: number,
  indent = "",
  first = indent,
): readonly string[] {
  const lines: string[] = [];
  let start = first;
  let current = start;
  for (const word of typeof text === "string" ? text.split(" ") : text) {
    if (current.length > start.length && current.length + 1 + word.length > width) {
      lines.push(current.trimEnd());
      start = indent;
      current = start;
    }
    current += current.length > start.length ? ` ${word}` : word;
  }
  return [...lines, current];
}
