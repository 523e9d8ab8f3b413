/** Quotes a word of a command that users paste, because names and users may contain characters that a shell interprets. */

/** Returns a harmless word unchanged and any other one in single quotes, without control characters. */
export function shellWord(text: string): string {
  const visible = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "");
  if (/^[A-Za-z0-9_:@%+=.,/][A-Za-z0-9_:@%+=.,/-]*$/.test(visible)) return visible;
  return `'${visible.replaceAll("'", `'\\''`)}'`;
}

/** Reports whether a server can be a word of a command that users paste: it has no character that a shell interprets. */
export function isPlainWord(server: string): boolean {
  return /^[\w.:/~[\]-]+$/.test(server);
}
