/** Escapes text from objects, servers and files, which are not trusted: a terminal must not execute what it prints. */
import { escapeUnseen } from "../../core/lib/printable.ts";
import type { OutputStream } from "../io.ts";

// deno-lint-ignore no-control-regex -- these are the characters to escape
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;
// deno-lint-ignore no-control-regex -- these and tabs and line breaks
const ALL_CONTROLS = /[\x00-\x1f\x7f]/g;
/** The sequences that this program writes to terminals: the colours of `style.ts`, and the erasing of a line by progress. */
// deno-lint-ignore no-control-regex -- the sequences begin with ESC
const OWN = /(\x1b\[(?:0|1|2|31|32|33|36)m|\r\x1b\[2K)/;

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

/** Escapes a whole line but keeps its columns, so that a part that was added without `line` cannot start another line. */
export function oneLine(text: string): string {
  return text.split("\t").map(escapeValue).join("\t");
}

/**
 * Wraps a stream so that no control sequence but our own colours reaches a terminal: the last line of defence, whatever a
 * command writes. With `onlyTerminals`, output to a file or a pipe is not changed, because it may be data.
 */
export function guardStream(
  stream: OutputStream,
  options: { readonly onlyTerminals: boolean },
): OutputStream {
  return {
    write: (text) => stream.write(options.onlyTerminals && !stream.isTerminal ? text : withoutForeign(text)),
    get isTerminal() {
      return stream.isTerminal;
    },
    get isForeground() {
      return stream.isForeground;
    },
    get columns() {
      return stream.columns;
    },
  };
}

function withoutForeign(text: string): string {
  return text.split(OWN).map((part, index) => index % 2 === 1 ? part : escapeText(part)).join("");
}

function toCaret(char: string): string {
  return `^${String.fromCharCode(char.charCodeAt(0) ^ 0x40)}`;
}
