/** Text of anybody's choosing in what is read on terminals: shown, never obeyed. */

/**
 * What no terminal should get from others beside the control characters of ASCII: DEL and the C1 controls, what turns
 * the direction of writing or is not seen at all, and the separators of lines that only some programs know.
 */
const UNSEEN = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text with what is not seen spelled as JSON does, `\u202e`: it stays valid JSON if it was. */
export function escapeUnseen(text: string): string {
  // deno-lint-ignore no-control-regex -- most text is plain
  return /^[\x00-\x7e]*$/.test(text) ? text : text.replace(UNSEEN, spellOut);
}

/** The text with every control and format character spelled out, such as `\u001b`: one line, for messages. */
export function escapeControls(text: string): string {
  // deno-lint-ignore no-control-regex -- these are what has to be spelled out
  return escapeUnseen(text.replace(/[\0-\x1f]/g, spellOut));
}

function spellOut(char: string): string {
  return Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`)
    .join("");
}

/** Enough for every path and message of Kubernetes' own clients. */
export const MAX_LOGGED_LENGTH = 1_024;

/** The text, or its beginning with the number of characters that are left out. */
export function cutLoggedText(text: string): string {
  if (text.length <= MAX_LOGGED_LENGTH) return text;
  const shown = text.slice(0, MAX_LOGGED_LENGTH).toWellFormed();
  return `${shown}… (${text.length - MAX_LOGGED_LENGTH} more characters)`;
}
