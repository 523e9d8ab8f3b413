/**
 * Columns aligned as by Go's `text/tabwriter`, which kubectl uses: cells end with a tab, a column spans the adjacent lines
 * that have it, and the text after the last tab is not padded.
 */

import { escapeValue, oneLine } from "../../core/lib/printable.ts";

/** The width and the padding of columns. */
export interface TabOptions {
  /** The minimum width of a column, including its padding. */
  readonly minWidth: number;
  /** The number of blanks after the longest cell. */
  readonly padding: number;
}

/** The spacing of kubectl's tables. */
export const TABLE_TABS: TabOptions = { minWidth: 6, padding: 3 };
/** The spacing of `kubectl describe`. */
export const DESCRIBE_TABS: TabOptions = { minWidth: 0, padding: 2 };

/** A line of a description: a title with its value, which has no line when it is absent or empty; or any other text. */
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

/** Aligns the columns of a text of several lines. */
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

/** True when a line has a cell in a column. The text after the last tab of a line is not a cell. */
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

/** Pads a cell with blanks to a width in characters, as Go does. */
export function padTo(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - measureWidth(cell)));
}

/** Counts the characters of a cell. */
export function measureWidth(cell: string): number {
  return [...cell].length;
}
