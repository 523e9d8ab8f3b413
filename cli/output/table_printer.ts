/**
 * Formats Tables (`meta.k8s.io/v1`, apimachinery `pkg/apis/meta/v1/types.go`) as kubectl does (cli-runtime
 * `pkg/printers/tableprinter.go`).
 */
import { escapeValue } from "../../core/lib/printable.ts";
import { cutTo, measureWidth, type Style, TABLE_TABS } from "./layout.ts";

/** A column of a Table from the server, or of our own table. */
export interface TableColumn {
  readonly name: string;
  readonly type?: string;
  readonly format?: string;
  /** Only `-o wide` shows columns with a priority above zero. */
  readonly priority?: number;
  /** The text of the heading. Default: the name in capitals. */
  readonly heading?: string;
  /** The smallest width to which the column is cut on a narrow terminal. Without it, the column is never cut. */
  readonly minWidth?: number;
  readonly paint?: (cell: string, style: Style) => string;
}

export interface TableRow {
  readonly cells: readonly unknown[];
}

/** Formats rows as they arrive. The heading is printed once, and columns never become narrower. */
interface TablePrinter {
  /** Formats rows as lines. Later Tables may have no columns; then those of the first Table are used. */
  print(columns: readonly TableColumn[], rows: readonly TableRow[]): string;
}

export interface TableOptions {
  readonly isWide: boolean;
  readonly hasHeader?: boolean;
  /** Returns the width in characters to which the table is cut; undefined for no limit. */
  readonly fitTo?: (() => number | undefined) | undefined;
  /** The colours for cells. Without it, the table has none. */
  readonly style?: Style;
}

/** The number of spaces between the columns of a table that is cut. */
const NARROW_PADDING = 2;

/** Creates a printer for one answer, or for a whole watch. */
export function createTablePrinter(options: TableOptions): TablePrinter {
  const { isWide, fitTo, style } = options;
  let known: readonly TableColumn[] = [];
  let isHeaderDue = options.hasHeader ?? true;
  const widths: number[] = [];
  return {
    print(columns, rows) {
      if (columns.length > 0) known = columns;
      const shown = known
        .map((column, index) => ({ column, index }))
        .filter(({ column }) => isWide || (column.priority ?? 0) === 0);
      const heading = shown.map(({ column }) => escapeValue(column.heading ?? column.name.toUpperCase()));
      const lines = rows.map((row) => shown.map(({ index }) => cellText(row.cells[index])));
      for (const line of isHeaderDue ? [heading, ...lines] : lines) {
        line.forEach((cell, index) => {
          widths[index] = Math.max(widths[index] ?? TABLE_TABS.minWidth - TABLE_TABS.padding, measureWidth(cell));
        });
      }
      const layout = fitColumns(shown.map(({ column }) => column), widths, fitTo?.());
      const format = (line: readonly string[], isHeading: boolean): string =>
        `${
          line.map((cell, index) => {
            const text = cutTo(cell, layout.widths[index] ?? 0);
            const paint = isHeading ? undefined : shown[index]?.column.paint;
            const blanks = " ".repeat(Math.max(0, (layout.widths[index] ?? 0) + layout.padding - measureWidth(text)));
            return (style === undefined || paint === undefined ? text : paint(text, style)) +
              (index === line.length - 1 ? "" : blanks);
          }).join("")
        }\n`;
      const text = (isHeaderDue ? format(heading, true) : "") + lines.map((line) => format(line, false)).join("");
      isHeaderDue = false;
      return text;
    },
  };
}

/** The widths of columns, and the number of spaces between them. */
interface TableLayout {
  readonly widths: readonly number[];
  readonly padding: number;
}

/** Narrows the widest columns that may be cut until a line fits, or until none can be cut any more. */
function fitColumns(
  columns: readonly TableColumn[],
  natural: readonly number[],
  available: number | undefined,
): TableLayout {
  const total = (widths: readonly number[], padding: number): number =>
    widths.reduce((sum, width) => sum + width, 0) + padding * (widths.length - 1);
  const { padding } = TABLE_TABS;
  if (available === undefined || total(natural, padding) <= available) return { widths: natural, padding };
  const widths = [...natural];
  const limits = columns.map(({ name, minWidth }) =>
    minWidth === undefined ? Infinity : Math.max(minWidth, name.length)
  );
  while (total(widths, NARROW_PADDING) > available) {
    const room = widths.map((width, index) => width > (limits[index] ?? Infinity) ? width : 0);
    const widest = Math.max(...room);
    if (widest === 0) break;
    const at = room.lastIndexOf(widest);
    widths[at] = widest - 1;
  }
  return { widths, padding: NARROW_PADDING };
}

/** Formats a cell as one escaped line, because values from objects are not trusted. */
function cellText(value: unknown): string {
  if (value === null || value === undefined) return "<none>";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const end = text.search(/[\f\n\r]/);
  return escapeValue(end < 0 ? text : `${text.slice(0, end)}...`);
}
