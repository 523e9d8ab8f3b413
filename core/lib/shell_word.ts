/** A word of a command that somebody will paste: what others have chosen (names, users) must not end it. */

/** The word as it is when it is harmless, else in single quotes, control characters left out. */
export function shellWord(text: string): string {
  const visible = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "");
  if (/^[A-Za-z0-9_:@%+=.,/][A-Za-z0-9_:@%+=.,/-]*$/.test(visible)) return visible;
  return `'${visible.replaceAll("'", `'\\''`)}'`;
}
