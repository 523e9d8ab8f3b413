/**
 * Columns as Go's `text/tabwriter` lines them up, which kubectl prints with: cells end with a tab, a column goes on over
 * neighbouring lines that have it, the text after the last tab is not padded.
 */

/** How columns are spaced. */
export interface TabOptions {
  /** Least width of a column, padding included. */
  readonly minWidth: number;
  /** Blanks after the longest cell. */
  readonly padding: number;
}

/** kubectl's tables. */
export const TABLE_TABS: TabOptions = { minWidth: 6, padding: 3 };
/** kubectl's descriptions. */
export const DESCRIBE_TABS: TabOptions = { minWidth: 0, padding: 2 };

/** Aligns whole lines; the text keeps its line breaks. */
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

/** What follows the last tab of a line is not a cell. */
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

/** Pads to a width that is counted in characters, as Go does. */
export function padTo(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - measureWidth(cell)));
}

/** The width of a cell in characters. */
export function measureWidth(cell: string): number {
  return [...cell].length;
}
