/** Prints certificates page by page, so that a long register neither waits for its end nor fills the memory. */
import { RECORD_QUALIFIED_KIND } from "../../../client/admin/records.ts";
import type { RecordFormat } from "../../output/format.ts";
import { createObjectPrinter } from "../../output/objects.ts";
import { createTablePrinter, type TableColumn, type TableOptions, type TableRow } from "../../output/table_printer.ts";
import { getApprover, getSigner, listNames, type RecordRow, shortenSerial } from "../../../core/report/record_rows.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { Style } from "../../output/style.ts";

/** Formats the rows of a list that arrive in pages, and those of a watch. */
export interface RecordPrinter {
  printPage(rows: readonly RecordRow[]): string;
  printEnd(): string;
}

/**
 * Creates a printer. With `areSeparate` each object of JSON and YAML is a document of its own, as for a single
 * certificate and for a watch; else they become a List. Throws UsageError for an invalid jsonpath template.
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
      const isWide = given.kind === "wide";
      const table = createTablePrinter({ ...tableOptions, isWide, fitTo: isWide ? undefined : tableOptions.fitTo });
      const printPage = (rows: readonly RecordRow[]) =>
        rows.length === 0 ? "" : table.print(COLUMNS, rows.map(toTableRow));
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

interface RecordColumn extends TableColumn {
  text(row: RecordRow): string | undefined;
}

const COLUMNS: readonly RecordColumn[] = [
  column("Serial", ({ record }) => record.spec.serialNumber && shortenSerial(record.spec.serialNumber)),
  { ...column("Subject", ({ record }) => record.spec.subject), minWidth: 16 },
  { ...column("Signer", ({ record }) => getSigner(record)), minWidth: 12 },
  column("Issued", ({ record }) => record.spec.issuedAt ?? undefined),
  column("Expires", ({ record }) => record.spec.notAfter ?? undefined),
  { ...column("Status", ({ status }) => status), paint: paintStatus },
  { ...column("Approved-By", ({ record }) => getApprover(record)), minWidth: 12 },
  column("Names", ({ record }) => listNames(record).join(","), 1),
  column("Requester", ({ record }) => record.spec.requester?.username, 1),
  column("Token", ({ record }) => record.spec.requester?.tokenID, 1),
  column("Proof", ({ record }) => record.spec.requester?.attested, 1),
  column("Address", ({ record }) => record.spec.requester?.address, 1),
  column("Request", ({ record }) => record.spec.request?.name, 1),
  column("Revoked", ({ record }) => record.status?.revocation?.reason, 1),
  column("Full-Serial", ({ record }) => record.spec.serialNumber, 1),
  column("Record", ({ record }) => getName(record), 1),
];

function column(name: string, text: RecordColumn["text"], priority = 0): RecordColumn {
  return { name, priority, text };
}

function paintStatus(status: string, style: Style): string {
  if (status === "valid") return style.green(status);
  return status === "revoked" ? style.red(status) : style.yellow(status);
}

/** Makes the cells of a row; an empty one becomes `<none>`. */
function toTableRow(row: RecordRow): TableRow {
  return { cells: COLUMNS.map(({ text }) => text(row) || "<none>") };
}

/** The columns for spreadsheets. Their names are those of the record's fields; columns may be added at the end. */
const CSV_COLUMNS: readonly (readonly [name: string, text: (row: RecordRow) => string | undefined])[] = [
  ["serialNumber", ({ record }) => record.spec.serialNumber],
  ["subject", ({ record }) => record.spec.subject],
  ["signerName", ({ record }) => record.spec.signerName],
  ["source", ({ record }) => record.spec.source],
  ["issuedAt", ({ record }) => record.spec.issuedAt ?? undefined],
  ["notBefore", ({ record }) => record.spec.notBefore ?? undefined],
  ["notAfter", ({ record }) => record.spec.notAfter ?? undefined],
  ["status", ({ status }) => status],
  ["names", ({ record }) => listNames(record).join(" ")],
  ["usages", ({ record }) => record.spec.usages?.join(", ")],
  ["requester", ({ record }) => record.spec.requester?.username],
  ["tokenID", ({ record }) => record.spec.requester?.tokenID],
  ["address", ({ record }) => record.spec.requester?.address],
  ["request", ({ record }) => record.spec.request?.name],
  ["approvedBy", ({ record }) => record.spec.approval?.username],
  ["approvalReason", ({ record }) => record.spec.approval?.reason],
  ["approvedAt", ({ record }) => record.spec.approval?.time ?? undefined],
  ["replaces", ({ record }) => record.spec.replaces],
  ["replacedBy", ({ replacedBy }) => replacedBy],
  ["revocation", ({ record }) => record.status?.revocation?.name],
  ["revocationReason", ({ record }) => record.status?.revocation?.reason],
  ["revokedBy", ({ record }) => record.status?.revocation?.revokedBy],
  ["revokedAt", ({ record }) => record.status?.revocation?.time ?? undefined],
  ["issuer", ({ record }) => record.spec.issuer],
  ["fingerprint", ({ record }) => record.spec.fingerprint],
  ["record", ({ record }) => getName(record)],
  ["attested", ({ record }) => record.spec.requester?.attested],
];

const CSV_HEADING = formatCsvLine(CSV_COLUMNS.map(([name]) => name));

/** Formats a row as a line of comma-separated values (RFC 4180). */
function formatCsvRow(row: RecordRow): string {
  return formatCsvLine(CSV_COLUMNS.map(([, text]) => text(row) ?? ""));
}

function formatCsvLine(cells: readonly string[]): string {
  return `${cells.map(quoteCell).join(",")}\r\n`;
}

function quoteCell(cell: string): string {
  // A spreadsheet would run a cell that begins with one of the first four as a formula; a requester may choose its text.
  const safe = /^[=+@\t-]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
