/** Lists the certificates of the register, page by page as they arrive where the order allows it. */
import { decodeApiObject } from "../../../client/objects/api.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { AppError } from "../../../core/errors.ts";
import { type getCertificatesCommand, isRecordOrder } from "./flags.ts";
import { RECORD_COLLECTION } from "../../../client/admin/records.ts";
import { watchObjects } from "../../output/server_tables.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { parseRowOrder } from "../../output/sort.ts";
import { createStyle } from "../../output/style.ts";
import { type OpenRecords, openRecords } from "./open_records.ts";
import { createRecordPrinter, type RecordPrinter } from "./printer.ts";
import {
  addReplacement,
  compareRows,
  createSelector,
  isCertificateRecord,
  type RecordRow,
  type Replacements,
  toRow,
} from "../../../core/report/record_rows.ts";
import { findReferences, findReplacements, parseRecordReference } from "../../../client/admin/record_source.ts";

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

/** One run of the list: its selection, its order, and what the status of certificates depends on. */
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
    // Only the server's register is asked for one signer; it compares without wildcards, and has no origins.
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
   * Reports whether the answer depends on the status of certificates, and so on newer ones; then the register is read twice
   * instead of kept in memory.
   */
  #needsStatus(): boolean {
    const { output, expiresWithin, sortBy } = this.#settings;
    const showsStatus = output === undefined || output.kind === "wide" || output.kind === "csv";
    return showsStatus || expiresWithin !== undefined || sortBy === "status";
  }
}
