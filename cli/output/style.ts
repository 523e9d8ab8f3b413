/** Colour for terminals. Colour never carries a meaning alone. */
import type { OutputStream } from "../io.ts";

/** Wraps a text in a colour, or returns it unchanged where colour is off. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** Creates the style of a stream: colour on a terminal without NO_COLOR (https://no-color.org) and with a TERM other than `dumb`. */
export function createStyle(stream: OutputStream, env: Readonly<Record<string, string | undefined>>): Style {
  const isColoured = hasColor(stream, env);
  const paint = (code: number) => (text: string): string => isColoured ? `\x1b[${code}m${text}\x1b[0m` : text;
  return {
    bold: paint(1),
    dim: paint(2),
    red: paint(31),
    green: paint(32),
    yellow: paint(33),
    cyan: paint(36),
  };
}

/** True when text on the stream may be coloured. */
function hasColor(stream: OutputStream, env: Readonly<Record<string, string | undefined>>): boolean {
  return stream.isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}
