/**
 * The layout of text: colours on terminals, wrapped lines, and columns that are aligned like those of Go's
 * `text/tabwriter`, which kubectl uses. Cells end with a tab, a column spans the adjacent lines that have it, and the text
 * after the last tab is not padded.
 */
import { escapeValue, oneLine } from "../../core/lib/printable.ts";
import type { OutputStream } from "../io.ts";

/** The width and the padding of columns. */
interface TabOptions {
  /** The minimum width of a column, including its padding. */
  readonly minWidth: number;
  /** The number of spaces after the longest cell. */
  readonly padding: number;
}

/** The spacing of kubectl's tables. */
export const TABLE_TABS: TabOptions = { minWidth: 6, padding: 3 };
/** The spacing of `kubectl describe`. */
export const DESCRIBE_TABS: TabOptions = { minWidth: 0, padding: 2 };

/** A line of a description: any text, or a title with a value, which is left out if the value is absent or empty. */
export type DescribedLine = readonly [title: string, value: string | undefined] | string;

/** Formats a description as `kubectl describe` does, with aligned columns and no line break at its end. */
export function formatDescription(lines: readonly DescribedLine[]): string {
  const texts = lines.flatMap((line) => {
    if (typeof line === "string") return [oneLine(line)];
    const [title, value = ""] = line;
    return value === "" ? [] : [`${title}:\t${escapeValue(value)}`];
  });
  return alignTabs(texts.join("\n"), DESCRIBE_TABS);
}

/** Aligns the columns of the lines of a text. */
export function alignTabs(text: string, options: TabOptions): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const out: string[] = [];
  format(lines, 0, lines.length, [], options, out);
  return out.join("\n");
}

function format(
  lines: readonly (readonly string[])[],
  from: number,
  to: number,
  widths: readonly number[],
  options: TabOptions,
  out: string[],
): void {
  const column = widths.length;
  let start = from;
  for (let line = from; line < to; line++) {
    if (!hasCell(lines[line], column)) continue;
    writeLines(lines, start, line, widths, out);
    start = line;
    let width = options.minWidth;
    while (line < to && hasCell(lines[line], column)) {
      width = Math.max(width, measureWidth(lines[line]?.[column] ?? "") + options.padding);
      line++;
    }
    format(lines, start, line, [...widths, width], options, out);
    start = line;
  }
  writeLines(lines, start, to, widths, out);
}

/** Reports whether a line has a cell in a column. The text after the last tab is not a cell. */
function hasCell(line: readonly string[] | undefined, column: number): boolean {
  return line !== undefined && column < line.length - 1;
}

function writeLines(
  lines: readonly (readonly string[])[],
  from: number,
  to: number,
  widths: readonly number[],
  out: string[],
): void {
  for (const line of lines.slice(from, to)) {
    out.push(line.map((cell, column) => padTo(cell, widths[column] ?? 0)).join(""));
  }
}

/** Pads a cell with spaces to a width in characters, as Go does. */
function padTo(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - measureWidth(cell)));
}

/** Cuts a text to a width, with an ellipsis at its end. */
export function cutTo(text: string, width: number): string {
  return measureWidth(text) <= width ? text : `${[...text].slice(0, width - 1).join("")}…`;
}

/** Counts the characters of a cell. */
export function measureWidth(cell: string): number {
  return [...cell].length;
}

/**
 * Wraps a text at its spaces, or a list of words, into lines of at most `width` characters. The first line begins with
 * `first`, the others with `indent`. A word that is too long gets its own line and is not broken, because it may be a path
 * or a command. An empty text is one line.
 */
export function wrapWords(
  text: string | readonly string[],
  width: number,
  indent = "",
  first = indent,
): readonly string[] {
  const lines: string[] = [];
  let start = first;
  let current = start;
  for (const word of typeof text === "string" ? text.split(" ") : text) {
    if (current.length > start.length && current.length + 1 + word.length > width) {
      lines.push(current.trimEnd());
      start = indent;
      current = start;
    }
    current += current.length > start.length ? ` ${word}` : word;
  }
  return [...lines, current];
}

/** Functions that colour a text, or return it unchanged if colours are off. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** Creates the style of a stream: colour on a terminal, unless NO_COLOR (https://no-color.org) is set or TERM is `dumb`. */
export function createStyle(stream: OutputStream, env: Readonly<Record<string, string | undefined>>): Style {
  const isColoured = stream.isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
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
