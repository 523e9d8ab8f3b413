/** Shows requests, as Tables from the server or as whole objects. */
import { withQuery } from "../../../client/objects/api.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { GetCsrFlags } from "./flags.ts";
import { type ApiConnection, connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { createObjectPrinter, type ObjectFormat } from "../../output/objects.ts";
import { createTablePrinter } from "../../output/table.ts";
import { CSR_COLLECTION, CSR_QUALIFIED_KIND, csrPath, listCsrs, parseCsrNames } from "../../api/csrs.ts";
import { forEachName } from "../../framework/for_each_name.ts";
import { line } from "../../output/escape.ts";
import { findHolds } from "../../api/holds.ts";
import { createTableApi, decodeTable, type ServerTable, watchObjects } from "../../api/tables.ts";

/** The page size of kubectl's lists. */
const PAGE_SIZE = "500";

interface Request {
  readonly input: Input<GetCsrFlags>;
  readonly names: readonly string[];
  readonly selectors: Readonly<Record<string, string>>;
  readonly io: Io;
  readonly signal: AbortSignal;
}

/** The action of the command `tlsboot get csr`. */
export async function run(input: Input<GetCsrFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { fieldSelector, selector, watch, output } = input.settings;
  const names = parseCsrNames(input.args);
  if (names.length > 0 && (fieldSelector !== undefined || selector !== undefined)) {
    throw new UsageError("a name cannot be given together with a selector");
  }
  if (watch && names.length > 1) throw new UsageError("cannot watch several names: give one name, or none for all");
  const selectors = {
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(selector === undefined ? {} : { labelSelector: selector }),
  };
  const request = { input, names, selectors, io, signal };
  const isTable = output === undefined || output.kind === "wide";
  // An invalid template is reported before any request is sent.
  const show = isTable ? showTables : showObjectsAs(output);
  await using connection = await connect(input.settings, io);
  try {
    return await show(connection, request);
  } catch (error) {
    // Only the server knows which fields can be selected.
    if (fieldSelector === undefined || !isAppError(error, "invalid")) throw error;
    throw new AppError("invalid", `cannot use --field-selector "${fieldSelector}": ${error.message}`, { cause: error });
  }
}

async function showTables(connection: ApiConnection, request: Request): Promise<ExitCode> {
  const { input, names, selectors, io, signal } = request;
  const api = createTableApi(connection.transport, io);
  const printer = createTablePrinter({ isWide: input.settings.output?.kind === "wide" });
  const printed = new Set<string>();
  const print = (table: ServerTable): void => {
    io.stdout.write(printer.print(table.columnDefinitions, table.rows));
    for (const row of table.rows) if (row.cells.includes("Pending")) printed.add(String(row.cells[0]));
  };
  const ask = async (path: string): Promise<ServerTable> =>
    decodeTable(await api.requestJson({ method: "GET", path }, signal), path);
  let version = "";
  let code: ExitCode = EXIT.done;
  if (names.length > 0) {
    const tables: ServerTable[] = [];
    code = await forEachName(names, async (name) => {
      const table = await ask(csrPath(name));
      version = table.metadata.resourceVersion ?? "";
      tables.push(table);
    }, { io, isDebug: input.isDebug, signal });
    printTogether(tables, print);
  } else {
    version = await printPages(ask, print, selectors, io, input.settings.watch);
  }
  await reportHolds(connection, printed, io, signal);
  if (!input.settings.watch || code !== EXIT.done) return code;
  // The version of an object that has not changed for long is older than the history, so its watch starts at 0, which
  // delivers the object once more.
  const isSingle = names.length > 0;
  const parameters = isSingle ? { fieldSelector: `metadata.name=${names[0]}` } : selectors;
  for await (
    const object of watchObjects(api, CSR_COLLECTION, parameters, isSingle ? "0" : version, io.clock, signal)
  ) {
    const table = decodeTable(object, CSR_COLLECTION);
    if (table.rows[0]?.object?.metadata?.resourceVersion !== version || !isSingle) print(table);
  }
  return EXIT.done;
}

/** Reports on stderr which of the pending requests an approver holds for a person, and why. */
async function reportHolds(
  { api }: ApiConnection,
  pending: ReadonlySet<string>,
  io: Pick<Io, "clock" | "stderr">,
  signal: AbortSignal,
): Promise<void> {
  if (pending.size === 0) return;
  try {
    const { items } = await listCsrs(api, {}, signal);
    for (const [name, fault] of await findHolds(api, items, io.clock, signal)) {
      if (pending.has(name)) io.stderr.write(line`${name}: ${fault}\n`);
    }
  } catch (error) {
    signal.throwIfAborted();
    // A user who may read some requests and nothing else still gets the table.
    if (!(error instanceof AppError)) throw error;
  }
}

async function printPages(
  ask: (path: string) => Promise<ServerTable>,
  print: (table: ServerTable) => void,
  selectors: Readonly<Record<string, string>>,
  io: Io,
  isWatching: boolean,
): Promise<string> {
  const pages: ServerTable[] = [];
  let next: string | undefined = "";
  while (next !== undefined) {
    const page: ServerTable = await ask(
      withQuery(CSR_COLLECTION, { ...selectors, limit: PAGE_SIZE, ...(next === "" ? {} : { continue: next }) }),
    );
    pages.push(page);
    next = page.metadata.continue === "" ? undefined : page.metadata.continue;
  }
  const isEmpty = !printTogether(pages, print);
  if (isEmpty && !isWatching) io.stderr.write("No resources found\n");
  return pages[pages.length - 1]?.metadata.resourceVersion ?? "";
}

/** Prints several Tables as one, because the width of a column depends on all rows. Returns false when there are no rows. */
function printTogether(tables: readonly ServerTable[], print: (table: ServerTable) => void): boolean {
  const rows = tables.flatMap((table) => table.rows);
  if (rows.length > 0) print({ metadata: {}, columnDefinitions: tables[0]?.columnDefinitions ?? [], rows });
  return rows.length > 0;
}

function showObjectsAs(format: ObjectFormat): (connection: ApiConnection, request: Request) => Promise<ExitCode> {
  const printer = createObjectPrinter(format, CSR_QUALIFIED_KIND);
  return async ({ api }, { input, names, selectors, io, signal }) => {
    const found: KubeObject[] = [];
    let version = "0";
    let code: ExitCode = EXIT.done;
    if (names.length > 0) {
      code = await forEachName(names, async (name) => {
        found.push(await api.requestObject({ method: "GET", path: csrPath(name) }, signal));
      }, { io, isDebug: input.isDebug, signal });
    } else {
      const listing = await listCsrs(api, selectors, signal);
      found.push(...listing.items);
      version = listing.resourceVersion;
    }
    const [only] = found;
    const isSingle = names.length === 1;
    if (input.settings.watch && !isSingle) found.forEach((object) => io.stdout.write(printer.printOne(object)));
    else if (!isSingle) io.stdout.write(printer.printList(found));
    else if (only !== undefined) io.stdout.write(printer.printOne(only));
    if (!input.settings.watch || code !== EXIT.done) return code;
    const parameters = isSingle ? { fieldSelector: `metadata.name=${names[0]}` } : selectors;
    for await (
      const object of watchObjects(api, CSR_COLLECTION, parameters, isSingle ? "0" : version, io.clock, signal)
    ) {
      if (!isKubeObject(object)) throw new AppError("api_error", "cannot read the watch: an event has no object");
      if (!isSingle || object.metadata.resourceVersion !== only?.metadata.resourceVersion) {
        io.stdout.write(printer.printOne(object));
      }
    }
    return EXIT.done;
  };
}

function isKubeObject(value: unknown): value is KubeObject {
  return typeof value === "object" && value !== null && "metadata" in value && typeof value.metadata === "object";
}
