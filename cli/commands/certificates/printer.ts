/** Prints certificates page by page, so that a long register neither waits for its end nor fills the memory. */
import { RECORD_QUALIFIED_KIND } from "../../../client/admin/records.ts";
import type { RecordFormat } from "../../output/format.ts";
import { createObjectPrinter } from "../../output/objects.ts";
import { createTablePrinter, type TableOptions } from "../../output/table.ts";
import { CSV_HEADING, formatCsvRow, RECORD_TABLE_COLUMNS, toTableRow } from "./columns.ts";
import type { RecordRow } from "../../../core/report/record_rows.ts";

/** Formats the rows of a list that arrive in pages, and those of a watch. */
export interface RecordPrinter {
  printPage(rows: readonly RecordRow[]): string;
  printEnd(): string;
}

/**
 * Creates a printer. With `areSeparate` each object of JSON and YAML stands alone, as for a single certificate and for a
 * watch; else they become a List. Throws UsageError for an invalid jsonpath template.
 */
export function createRecordPrinter(
  format: RecordFormat | undefined,
  areSeparate: boolean,
  tableOptions: Omit<TableOptions, "isWide"> = {},
): RecordPrinter {
  const noEnd = () => "";
  const given = format ?? { kind: "table" };
  switch (given.kind) {
    case "table":
    case "wide": {
      const { fitTo, ...options } = tableOptions;
      const isWide = given.kind === "wide";
      const table = createTablePrinter({ ...options, isWide, ...(isWide || fitTo === undefined ? {} : { fitTo }) });
      const printPage = (rows: readonly RecordRow[]) =>
        rows.length === 0 ? "" : table.print(RECORD_TABLE_COLUMNS, rows.map(toTableRow));
      return { printPage, printEnd: noEnd };
    }
    case "csv": {
      let heading = CSV_HEADING;
      const printPage = (rows: readonly RecordRow[]) => {
        const text = heading + rows.map(formatCsvRow).join("");
        heading = "";
        return text;
      };
      return { printPage, printEnd: () => heading };
    }
    default: {
      const printer = createObjectPrinter(given, RECORD_QUALIFIED_KIND);
      if (areSeparate || given.kind === "name") {
        return { printPage: (rows) => rows.map(({ record }) => printer.printOne(record)).join(""), printEnd: noEnd };
      }
      const { printItems, printEnd } = printer.startList();
      return { printPage: (rows) => printItems(rows.map(({ record }) => record)), printEnd };
    }
  }
}
