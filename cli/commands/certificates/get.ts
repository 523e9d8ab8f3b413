/**
 * Lists the certificates of the register page by page, so that a long register neither delays the first page nor fills
 * the memory.
 */
import { decodeApiObject } from "../../../client/objects/api.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { AppError } from "../../../core/errors.ts";
import { type getCertificatesCommand, isRecordOrder } from "./flags.ts";
import { RECORD_COLLECTION, RECORD_QUALIFIED_KIND } from "../../../client/admin/records.ts";
import { watchObjects } from "../../output/server_tables.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { parseRowOrder } from "../../output/sort.ts";
import { type OpenRecords, openRecords } from "./open_records.ts";
import {
  addReplacement,
  compareRows,
  createSelector,
  getApprover,
  getSigner,
  isCertificateRecord,
  type RecordRow,
  type Replacements,
  shortenSerial,
  toRow,
} from "../../../core/report/record_rows.ts";
import { listAlternativeNames } from "../../../core/pki/x509/subject_alternative_names.ts";
import { findReferences, findReplacements, parseRecordReference } from "../../../client/admin/record_source.ts";
import { createObjectPrinter } from "../../output/objects.ts";
import { createTablePrinter, type TableColumn, type TableOptions, type TableRow } from "../../output/table_printer.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { RecordFormat } from "../../flags/list.ts";
import { createStyle, type Style } from "../../output/layout.ts";

type Settings = Input<typeof getCertificatesCommand.flags>["settings"];

export async function run(input: Input<typeof getCertificatesCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { args, settings } = input;
  args.forEach(parseRecordReference);
  // An invalid template is reported before any request is sent.
  const printer = createRecordPrinter(settings.output, settings.watch || args.length === 1, {
    hasHeader: !settings.noHeaders,
    style: createStyle(tools.stdout, tools.env),
    fitTo: tools.stdout.isTerminal ? () => tools.stdout.columns : undefined,
  });
  const sort = createSort(settings.sortBy);
  await using records = await openRecords(settings, tools);
  if (args.length > 0) return await showNamed(records, input, printer, tools);
  const list = new RecordList(records, settings, printer, sort, tools);
  const version = await list.show();
  if (settings.watch) await list.watch(version);
  return EXIT.done;
}

type SortRows = (rows: readonly RecordRow[]) => readonly RecordRow[];

/** Creates the order of `--sort-by`. Throws UsageError for an invalid path. */
function createSort(sortBy: string): SortRows {
  if (isRecordOrder(sortBy)) return (rows) => rows.toSorted(compareRows(sortBy));
  const order = parseRowOrder(sortBy);
  return (rows) => order.sort([], rows.map((row) => ({ ...row, object: row.record, cells: [] })));
}

/** Prints the certificates that the arguments name, and reports those that do not exist. */
async function showNamed(
  { source }: OpenRecords,
  { args }: Input<typeof getCertificatesCommand.flags>,
  printer: RecordPrinter,
  tools: Tools,
): Promise<ExitCode> {
  const { signal } = tools;
  const found = await findReferences(source, args, signal);
  const failures = found.filter((item) => item instanceof AppError);
  const replacements = await findReplacements(source, signal);
  const retiredCas = await source.readRetiredCas(signal);
  const now = tools.clock.now();
  const rows = found.flatMap((item) => item instanceof AppError ? [] : [toRow(item, replacements, now, retiredCas)]);
  if (rows.length > 0) tools.stdout.write(printer.printPage(rows) + printer.printEnd());
  for (const failure of failures) reportError(failure, tools, tools.isDebug);
  return failures.length === 0 ? EXIT.done : EXIT.failed;
}

/** One run of the list: its selection and order, and the facts that determine the status of certificates. */
class RecordList {
  readonly #records: OpenRecords;
  readonly #settings: Settings;
  readonly #printer: RecordPrinter;
  readonly #tools: Tools;
  readonly #now: Date;
  readonly #sort: SortRows;
  readonly #isSelected: (row: RecordRow) => boolean;
  #replacements: Replacements = new Map();
  #retiredCas: ReadonlySet<string> = new Set();

  constructor(records: OpenRecords, settings: Settings, printer: RecordPrinter, sort: SortRows, tools: Tools) {
    this.#records = records;
    this.#settings = settings;
    this.#printer = printer;
    this.#sort = sort;
    this.#tools = tools;
    this.#now = tools.clock.now();
    this.#isSelected = createSelector(settings, this.#now);
  }

  /** Prints the list and returns the version from which a watch continues. */
  async show(): Promise<string> {
    const { signal, stdout, stderr } = this.#tools;
    const { source } = this.#records;
    const { signer, sortBy, output, watch } = this.#settings;
    if (this.#needsStatus()) {
      this.#replacements = await findReplacements(source, signal);
      this.#retiredCas = await source.readRetiredCas(signal);
    }
    const sorted: RecordRow[] = [];
    let count = 0;
    let version = "";
    // The server selects a signer by its whole name. A pattern without a slash may match an origin instead.
    const isExact = signer !== undefined && signer.includes("/") && !signer.includes("*");
    for await (const { records, resourceVersion } of source.pages(signal, isExact ? signer : undefined)) {
      const rows = records.filter(isCertificateRecord).map((record) => this.#toRow(record)).filter(this.#isSelected);
      count += rows.length;
      version = resourceVersion;
      if (sortBy !== "issued") sorted.push(...rows);
      else stdout.write(this.#printer.printPage(rows));
    }
    if (sortBy !== "issued") stdout.write(this.#printer.printPage(this.#sort(sorted)));
    stdout.write(this.#printer.printEnd());
    const isTable = output === undefined || output.kind === "wide";
    if (count === 0 && isTable && !watch) stderr.write("No certificates found\n");
    return version;
  }

  /** Prints certificates that are issued or revoked from a version on, until the signal is aborted. */
  async watch(version: string): Promise<void> {
    const { connection } = this.#records;
    const { clock, signal, stdout } = this.#tools;
    if (connection === undefined) return;
    for await (const value of watchObjects(connection.api, RECORD_COLLECTION, {}, version, clock, signal)) {
      const record = decodeApiObject<IssuedCertificate>(value, RECORD_COLLECTION);
      addReplacement(this.#replacements, record);
      const rows = [record].filter(isCertificateRecord).map((item) => this.#toRow(item)).filter(this.#isSelected);
      stdout.write(this.#printer.printPage(rows));
    }
  }

  #toRow(record: IssuedCertificate): RecordRow {
    return toRow(record, this.#replacements, this.#now, this.#retiredCas);
  }

  /**
   * Reports whether the output needs the status of certificates, which depends on newer ones. The register is then read
   * twice, instead of being kept in memory.
   */
  #needsStatus(): boolean {
    const { output, expiresWithin, sortBy } = this.#settings;
    const showsStatus = output === undefined || output.kind === "wide" || output.kind === "csv";
    return showsStatus || expiresWithin !== undefined || sortBy === "status";
  }
}

/** Formats the rows of a list that arrive in pages, and those of a watch. */
interface RecordPrinter {
  printPage(rows: readonly RecordRow[]): string;
  printEnd(): string;
}

/**
 * Creates a printer. With `areSeparate`, JSON and YAML have one document for each object, as for a single certificate and
 * for a watch; otherwise one List. Throws UsageError for an invalid jsonpath template.
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
  column("Names", ({ record }) => listAlternativeNames(record.spec).join(","), 1),
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

/** Formats the cells of a row; an empty cell becomes `<none>`. */
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
  ["names", ({ record }) => listAlternativeNames(record.spec).join(" ")],
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
