/** Breaks text into lines of a width. */

/**
 * Breaks a text at its blanks into lines of at most `width` characters, each of which begins with `indent`. A longer word
 * has a line of its own and is not broken, because it may be a path or a command. An empty text is one line.
 */
export function wrapWords(text: string, width: number, indent = ""): readonly string[] {
  const lines: string[] = [];
  let current = indent;
  for (const word of text.split(" ")) {
    if (current.length > indent.length && current.length + 1 + word.length > width) {
      lines.push(current);
      current = indent;
    }
    current += current.length > indent.length ? ` ${word}` : word;
  }
  return [...lines, current];
}
