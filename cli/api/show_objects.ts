/** Shows objects of one kind as kubectl does, as Tables from the server or as whole objects. */
import { type ApiClient, listAll, withQuery } from "../../client/objects/api.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import {
  formatApiVersion,
  formatCollectionPath,
  formatObjectPath,
  formatQualifiedKind,
  type Kind,
} from "../../core/kube/schema.ts";
import { type ApiConnection, connect } from "./connection.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { API_FLAGS } from "../flags/common.ts";
import type { LIST_FLAGS } from "../flags/list.ts";
import type { Input } from "../framework/command.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { Io } from "../io.ts";
import { createObjectPrinter, type ObjectFormat } from "../output/objects.ts";
import { createTablePrinter } from "../output/table.ts";
import { forEachName } from "../framework/for_each_name.ts";
import {
  createTableApi,
  createTableDecoder,
  decodeTable,
  type OwnTable,
  type ServerTable,
  watchObjects,
} from "./tables.ts";

/** The page size of kubectl's lists. */
const PAGE_SIZE = "500";

type ShowInput = Input<typeof API_FLAGS & typeof LIST_FLAGS>;

interface Request {
  readonly kind: Kind;
  readonly table: OwnTable | undefined;
  readonly extendWide: ExtendTable | undefined;
  readonly afterTable: ShownObjects["afterTable"];
  readonly input: ShowInput;
  readonly names: readonly string[];
  readonly selectors: Readonly<Record<string, string>>;
  readonly io: Io;
  readonly signal: AbortSignal;
}

/** Adds columns to the Tables of `-o wide`. */
export type ExtendTable = (table: ServerTable, api: ApiClient, signal: AbortSignal) => Promise<ServerTable>;

/** The kind and the names of the objects to show. */
export interface ShownObjects {
  readonly kind: Kind;
  /** All objects without a name. */
  readonly names: readonly string[];
  /** Replaces the table of the server. */
  readonly table?: OwnTable;
  readonly extendWide?: ExtendTable;
  /** Called with the rows of a table after they are printed, and before the watch. */
  readonly afterTable?: (rows: ServerTable["rows"], api: ApiClient, signal: AbortSignal) => Promise<void>;
}

/** Shows the objects of a kind that names or selectors choose, and with `--watch` their changes. */
export async function showObjects(
  { kind, names, table, extendWide, afterTable }: ShownObjects,
  input: ShowInput,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { fieldSelector, selector, watch, output } = input.settings;
  if (names.length > 0 && (fieldSelector !== undefined || selector !== undefined)) {
    throw new UsageError("a name cannot be given together with a selector");
  }
  if (watch && names.length > 1) throw new UsageError("cannot watch several names: give one name, or none for all");
  const selectors = {
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(selector === undefined ? {} : { labelSelector: selector }),
  };
  const request = { kind, input, names, selectors, table, extendWide, afterTable, io, signal };
  const isTable = output === undefined || output.kind === "wide";
  // An invalid template is reported before any request is sent.
  const show = isTable ? showTables : showObjectsAs(kind, output);
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
  const { kind, input, names, selectors, table: own, extendWide, afterTable, io, signal } = request;
  const isWide = input.settings.output?.kind === "wide";
  const collection = formatCollectionPath(kind);
  const api = own === undefined ? createTableApi(connection.transport, io) : connection.api;
  const decode = own === undefined ? decodeTable : createTableDecoder(own);
  const printer = createTablePrinter({ isWide });
  const extend = async (table: ServerTable): Promise<ServerTable> =>
    isWide && extendWide !== undefined ? await extendWide(table, connection.api, signal) : table;
  const listed: ServerTable["rows"][number][] = [];
  const print = (table: ServerTable): void => {
    io.stdout.write(printer.print(table.columnDefinitions, table.rows));
    listed.push(...table.rows);
  };
  const ask = async (path: string): Promise<ServerTable> =>
    await extend(decode(await api.requestJson({ method: "GET", path }, signal), path));
  let version = "";
  let code: ExitCode = EXIT.done;
  if (names.length > 0) {
    const tables: ServerTable[] = [];
    code = await forEachName(names, async (name) => {
      const table = await ask(formatObjectPath(kind, name));
      version = table.metadata.resourceVersion ?? "";
      tables.push(table);
    }, { io, isDebug: input.isDebug, signal });
    printTogether(tables, print);
  } else {
    version = await printPages(ask, print, request);
  }
  await afterTable?.(listed, connection.api, signal);
  if (!input.settings.watch || code !== EXIT.done) return code;
  // The version of an object that has not changed for long is older than the history, so its watch starts at 0, which
  // delivers the object once more.
  const isSingle = names.length > 0;
  const parameters = isSingle ? { fieldSelector: `metadata.name=${names[0]}` } : selectors;
  for await (
    const object of watchObjects(api, collection, parameters, isSingle ? "0" : version, io.clock, signal)
  ) {
    const table = await extend(decode(object, collection));
    if (table.rows[0]?.object?.metadata?.resourceVersion !== version || !isSingle) {
      io.stdout.write(printer.print(table.columnDefinitions, table.rows));
    }
  }
  return EXIT.done;
}

async function printPages(
  ask: (path: string) => Promise<ServerTable>,
  print: (table: ServerTable) => void,
  { kind, input, selectors, io }: Request,
): Promise<string> {
  const collection = formatCollectionPath(kind);
  const pages: ServerTable[] = [];
  let next: string | undefined = "";
  while (next !== undefined) {
    const page: ServerTable = await ask(
      withQuery(collection, { ...selectors, limit: PAGE_SIZE, ...(next === "" ? {} : { continue: next }) }),
    );
    pages.push(page);
    next = page.metadata.continue === "" ? undefined : page.metadata.continue;
  }
  const isEmpty = !printTogether(pages, print);
  if (isEmpty && !input.settings.watch) io.stderr.write("No resources found\n");
  return pages[pages.length - 1]?.metadata.resourceVersion ?? "";
}

/** Prints several Tables as one, because the width of a column depends on all rows. Returns false when there are no rows. */
function printTogether(tables: readonly ServerTable[], print: (table: ServerTable) => void): boolean {
  const rows = tables.flatMap((table) => table.rows);
  if (rows.length > 0) print({ metadata: {}, columnDefinitions: tables[0]?.columnDefinitions ?? [], rows });
  return rows.length > 0;
}

function showObjectsAs(
  kind: Kind,
  format: ObjectFormat,
): (connection: ApiConnection, request: Request) => Promise<ExitCode> {
  const printer = createObjectPrinter(format, formatQualifiedKind({ ...kind, kind: kind.singular }));
  return async ({ api }, { input, names, selectors, io, signal }) => {
    const collection = formatCollectionPath(kind);
    const found: KubeObject[] = [];
    let version = "0";
    let code: ExitCode = EXIT.done;
    if (names.length > 0) {
      code = await forEachName(names, async (name) => {
        found.push(await api.requestObject({ method: "GET", path: formatObjectPath(kind, name) }, signal));
      }, { io, isDebug: input.isDebug, signal });
    } else {
      const listing = await listAll(api, collection, selectors, signal);
      // Items of a list have no type of their own.
      found.push(...listing.items.map((item) => ({ ...item, apiVersion: formatApiVersion(kind), kind: kind.kind })));
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
      const object of watchObjects(api, collection, parameters, isSingle ? "0" : version, io.clock, signal)
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
