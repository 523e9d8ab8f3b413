/** Text that controls a terminal, reverses writing, hides, or forges lines. */
import assert from "node:assert/strict";

/** One sample of each attack: screen, title, hyperlink, C1, carriage return, bidirectional, unseen, line separators. */
export const HOSTILE =
  "x\x1b[2J\x1b]0;pwned\x07\x1b]8;;http://evil\x1b\\\x9b31m\rtlsboot: ok\u202eevil\u2066\u200b\ufeff\u2028\u{e0041}";

/** Adds a forged column and a forged line to the hostile text. */
export const FORGING = `y\tforged column\nforged: line ${HOSTILE}`;

// deno-lint-ignore no-control-regex -- the test looks for these characters
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/u;
/** Colours and the erased line that tlsboot itself writes to terminals. */
// deno-lint-ignore no-control-regex -- they begin with one
const OWN = /\x1b\[(?:0|1|2|31|32|33|36)m|\r\x1b\[2K/g;

/** Finds control characters of a terminal in an output; undefined when there are none. */
export function findObeyed(output: string, isTerminal: boolean): string | undefined {
  const rest = isTerminal ? output.replace(OWN, "") : output;
  const found = OBEYED.exec(rest);
  return found === null ? undefined : JSON.stringify(rest.slice(Math.max(0, found.index - 60), found.index + 20));
}

/** Fails when an output has control characters of a terminal, or a forged line or column. */
export function assertShown(output: string, isTerminal: boolean, what: string): void {
  assert.equal(findObeyed(output, isTerminal), undefined, what);
  assert.doesNotMatch(output, /^forged: line/m, `${what}: a value made a line`);
  assert.doesNotMatch(output, /\tforged column/, `${what}: a value made a column`);
}
