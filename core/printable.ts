/** Text of anybody's choosing in a message that is read on terminals. */

/** The text with control and format characters spelled out, such as `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
