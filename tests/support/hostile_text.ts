/** Text with terminal control sequences, bidirectional and invisible characters, and forged lines. */
import assert from "node:assert/strict";

/**
 * One sample of each attack: screen, title, hyperlink, C1, carriage return, bidirectional, invisible, line separator.
 */
export const HOSTILE =
  "x\x1b[2J\x1b]0;pwned\x07\x1b]8;;http://evil\x1b\\\x9b31m\rtlsboot: ok\u202eevil\u2066\u200b\ufeff\u2028\u{e0041}";

/** Adds a forged column and a forged line to the hostile text. */
export const FORGING = `y\tforged column\nforged: line ${HOSTILE}`;

// deno-lint-ignore no-control-regex -- the test looks for these characters
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/u;
/** The colours and line erasures that tlsboot itself writes to terminals. */
// deno-lint-ignore no-control-regex -- they begin with a control character
const OWN = /\x1b\[(?:0|1|2|31|32|33|36)m|\r\x1b\[2K/g;

/** Finds the first terminal control character in an output, with its context. */
export function findControls(output: string, isTerminal: boolean): string | undefined {
  const rest = isTerminal ? output.replace(OWN, "") : output;
  const found = CONTROLS.exec(rest);
  return found === null ? undefined : JSON.stringify(rest.slice(Math.max(0, found.index - 60), found.index + 20));
}

/** Fails when an output has terminal control characters, a forged line or a forged column. */
export function assertShown(output: string, isTerminal: boolean, what: string): void {
  assert.equal(findControls(output, isTerminal), undefined, what);
  assert.doesNotMatch(output, /^forged: line/m, `${what}: a value forged a line`);
  assert.doesNotMatch(output, /\tforged column/, `${what}: a value forged a column`);
}
