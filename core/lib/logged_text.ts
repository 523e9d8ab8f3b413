/** How much of a text that a client chose stands in a line of the log. */

/** Enough for every path and message of Kubernetes' own clients. */
export const MAX_LOGGED_LENGTH = 1_024;

/** The text, or its beginning with the number of characters that are left out. */
export function cutLoggedText(text: string): string {
  if (text.length <= MAX_LOGGED_LENGTH) return text;
  const shown = text.slice(0, MAX_LOGGED_LENGTH).toWellFormed();
  return `${shown}… (${text.length - MAX_LOGGED_LENGTH} more characters)`;
}
