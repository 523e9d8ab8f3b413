/**
 * Prints Tables of the server (`meta.k8s.io/v1`, apimachinery `pkg/apis/meta/v1/types.go`) as kubectl does (cli-runtime
 * `pkg/printers/tableprinter.go`).
 */
import { escapeValue } from "./escape.ts";
import { measureWidth, padTo, TABLE_TABS } from "./tab_writer.ts";

/** One column of a Table from the server. */
export interface TableColumn {
  readonly name: string;
  readonly type?: string;
  readonly format?: string;
  /** Columns with a priority above zero are shown by `-o wide` only. */
  readonly priority?: number;
}

/** One row of a Table from the server. */
export interface TableRow {
  readonly cells: readonly unknown[];
}

/** Prints rows as they arrive: the heading once, and columns that never become narrower. */
export interface TablePrinter {
  /** Formats the rows as lines. Later Tables may have no columns; those of the first one are then used. */
  print(columns: readonly TableColumn[], rows: readonly TableRow[]): string;
}

/** Creates a printer for one answer, or for a whole watch. */
export function createTablePrinter(options: { readonly isWide: boolean; readonly hasHeader?: boolean }): TablePrinter {
  let known: readonly TableColumn[] = [];
  let isHeaderDue = options.hasHeader ?? true;
  const widths: number[] = [];
  return {
    print(columns, rows) {
      if (columns.length > 0) known = columns;
      const shown = known
        .map((column, index) => ({ column, index }))
        .filter(({ column }) => options.isWide || (column.priority ?? 0) === 0);
      const lines = [
        ...(isHeaderDue ? [shown.map(({ column }) => escapeValue(column.name.toUpperCase()))] : []),
        ...rows.map((row) => shown.map(({ index }) => cellText(row.cells[index]))),
      ];
      isHeaderDue = false;
      for (const line of lines) {
        line.forEach((cell, index) => {
          widths[index] = Math.max(widths[index] ?? TABLE_TABS.minWidth, measureWidth(cell) + TABLE_TABS.padding);
        });
      }
      return lines.map((line) => `${padLine(line, widths)}\n`).join("");
    },
  };
}

/** Pads all cells of a line but the last one. */
function padLine(line: readonly string[], widths: readonly number[]): string {
  return line.map((cell, index) => index === line.length - 1 ? cell : padTo(cell, widths[index] ?? 0)).join("");
}

/** Formats a cell as one escaped line, because values from objects are not trusted. */
function cellText(value: unknown): string {
  if (value === null || value === undefined) return "<none>";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const end = text.search(/[\f\n\r]/);
  return escapeValue(end < 0 ? text : `${text.slice(0, end)}...`);
}
