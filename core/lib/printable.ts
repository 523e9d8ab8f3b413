/**
 * Escapes untrusted text for terminals and logs, so that a terminal shows control characters instead of acting on them,
 * quotes the words of shell commands that users paste, and capitalizes sentences.
 */

/**
 * Characters that must not reach a terminal, apart from the ASCII control characters: DEL and the C1 controls, invisible
 * characters, characters that change the text direction, and line separators that only some programs recognize.
 */
const UNSEEN = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Escapes invisible characters as JSON does (`\u202e`), so that valid JSON stays valid. */
export function escapeUnseen(text: string): string {
  // deno-lint-ignore no-control-regex -- most text is plain
  return /^[\x00-\x7e]*$/.test(text) ? text : text.replace(UNSEEN, spellOut);
}

/** Escapes every control and format character, such as `\u001b`, so that the text fits on one line of a message. */
export function escapeControls(text: string): string {
  // deno-lint-ignore no-control-regex -- these are the characters to escape
  return escapeUnseen(text.replace(/[\0-\x1f]/g, spellOut));
}

// deno-lint-ignore no-control-regex -- these are the characters to escape
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;
// deno-lint-ignore no-control-regex -- these and tabs and line breaks
const ALL_CONTROLS = /[\x00-\x1f\x7f]/g;

/** Escapes text of several lines. ESC becomes `^[`, as in kubectl; bidirectional and similar controls become `\u202e`. */
export function escapeText(text: string): string {
  return escapeUnseen(text.replace(CONTROLS, toCaret));
}

/** Escapes a value in a line of columns, so that it cannot start another line or column. */
export function escapeValue(text: string): string {
  return escapeUnseen(text.replace(ALL_CONTROLS, toCaret));
}

/** Template tag for a line with columns separated by tabs. Values are escaped, so they cannot add columns. */
export function line(template: TemplateStringsArray, ...values: readonly (string | number | boolean)[]): string {
  return String.raw({ raw: template }, ...values.map((value) => escapeValue(String(value))));
}

/** Escapes a line but keeps its tabs, so that text that was added without `line` cannot start another line. */
export function oneLine(text: string): string {
  return text.split("\t").map(escapeValue).join("\t");
}

function toCaret(char: string): string {
  return `^${String.fromCharCode(char.charCodeAt(0) ^ 0x40)}`;
}

function spellOut(char: string): string {
  return Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`)
    .join("");
}

/** The maximum length of untrusted text in a log line; paths and messages of Kubernetes' own clients are shorter. */
export const MAX_LOGGED_LENGTH = 1_024;

/** Shortens a text to the maximum length and appends the number of omitted characters. */
export function cutLoggedText(text: string): string {
  if (text.length <= MAX_LOGGED_LENGTH) return text;
  const shown = text.slice(0, MAX_LOGGED_LENGTH).toWellFormed();
  return `${shown}… (${text.length - MAX_LOGGED_LENGTH} more characters)`;
}

/** Quotes a word for a shell if it needs quotes, and removes control characters. */
export function shellWord(text: string): string {
  const visible = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "");
  if (/^[A-Za-z0-9_:@%+=.,/][A-Za-z0-9_:@%+=.,/-]*$/.test(visible)) return visible;
  return `'${visible.replaceAll("'", `'\\''`)}'`;
}

/** Reports whether a server address can be pasted into a shell command without quotes. */
export function isPlainWord(server: string): boolean {
  return /^[\w.:/~[\]-]+$/.test(server);
}

/** Capitalizes the first letter of a text. */
export function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
