/** What objects, servers and files say is not to be trusted: on its way to a person it is shown, not obeyed. */
import { escapeUnseen } from "../../core/lib/printable.ts";
import type { OutputStream } from "../io.ts";

// deno-lint-ignore no-control-regex -- these are what has to be escaped
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;
// deno-lint-ignore no-control-regex -- with tabs and line breaks
const ALL_CONTROLS = /[\x00-\x1f\x7f]/g;
/** What this program itself writes to terminals: the colours of `style.ts`, and the line that progress erases. */
// deno-lint-ignore no-control-regex -- they begin with one
const OWN = /(\x1b\[(?:0|1|2|31|32|33|36)m|\r\x1b\[2K)/;

/** Text of several lines. ESC becomes `^[`, as kubectl prints it; bidirectional controls and their like `\u202e`. */
export function escapeControls(text: string): string {
  return escapeUnseen(text.replace(CONTROLS, toCaret));
}

/** A value in a line of columns: it can make neither another line nor another column. */
export function escapeValue(text: string): string {
  return escapeUnseen(text.replace(ALL_CONTROLS, toCaret));
}

/** A line whose columns are apart by tabs: those of the template; the values cannot add any. */
export function line(template: TemplateStringsArray, ...values: readonly (string | number | boolean)[]): string {
  return String.raw({ raw: template }, ...values.map((value) => escapeValue(String(value))));
}

/** A whole line, its columns kept: what was put in without `line` makes no other line either. */
export function oneLine(text: string): string {
  return text.split("\t").map(escapeValue).join("\t");
}

/**
 * A stream for people behind which nothing but our own colours reaches a terminal: the last line of defence, whatever a
 * command writes. What goes to a file or a pipe is left alone with `onlyTerminals`: there it may be data.
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
  return text.split(OWN).map((part, index) => index % 2 === 1 ? part : escapeControls(part)).join("");
}

function toCaret(char: string): string {
  return `^${String.fromCharCode(char.charCodeAt(0) ^ 0x40)}`;
}
