/** Shows objects of one kind as kubectl does, as Tables from the server or as whole objects. */
import {
  type ApiClient,
  type ApiConnection,
  listAll,
  type QueryParameters,
  readPages,
  withQuery,
} from "../../client/objects/api.ts";
import { withWholeName } from "../../client/admin/csrs.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import {
  formatCollectionPath,
  formatObjectPath,
  formatQualifiedKind,
  type Kind,
  withType,
} from "../../core/kube/schema.ts";
import { connect } from "../connection.ts";
import { EXIT, type ExitCode, UsageError } from "../exit_code.ts";
import type { API_FLAGS } from "../flags/common.ts";
import type { LIST_FLAGS, RequestFormat } from "../flags/list.ts";
import type { Input } from "../framework/command.ts";
import type { Flag } from "../framework/flags.ts";
import type { Tools } from "../io.ts";
import { createObjectPrinter, type ObjectFormat } from "./objects.ts";
import { parseRowOrder, type RowOrder } from "./sort.ts";
import { createTablePrinter } from "./table_printer.ts";
import {
  createTableApi,
  createTableDecoder,
  decodeTable,
  type OwnTable,
  type ServerTable,
  watchObjects,
} from "./server_tables.ts";
import { forEachItem } from "../framework/report.ts";
import { createStyle } from "./layout.ts";

type ShowInput = Input<
  typeof API_FLAGS & Omit<typeof LIST_FLAGS, "output"> & { output: Flag<RequestFormat | undefined> }
>;

interface Request {
  readonly shown: ShownObjects;
  readonly order: RowOrder | undefined;
  readonly input: ShowInput;
  readonly selectors: QueryParameters;
  readonly tools: Tools;
}

/** Adds columns to the Tables of `-o wide`. */
type ExtendTable = (table: ServerTable, api: ApiClient, signal: AbortSignal) => Promise<ServerTable>;

/** The objects to show, and how. */
interface ShownObjects {
  readonly kind: Kind;
  /** The names of the objects. If empty, all are shown. */
  readonly names: readonly string[];
  /** Replaces the server's table. On a terminal it is coloured and cut to the terminal's width. */
  readonly table?: OwnTable;
  readonly extendWide?: ExtendTable;
  /** Decides which objects are shown. Default: all. Called for each object of the list, and for each change. */
  isShown?(object: KubeObject): boolean;
  /** Changes the rows of a table on a terminal before they are printed: first those of the list, then those of a change. */
  readonly refine?: (rows: ServerTable["rows"]) => ServerTable["rows"];
  /** Finds the full name for a short one; undefined if there is none. */
  readonly findName?: (name: string, api: ApiClient, signal: AbortSignal) => Promise<string | undefined>;
  /** Called with the rows of the list after they are printed, before the watch. */
  readonly afterTable?: (rows: ServerTable["rows"], api: ApiClient, signal: AbortSignal) => Promise<void>;
}

/** Shows the objects that names or selectors choose and, with `--watch`, their changes. */
export async function showObjects(
  shown: ShownObjects,
  input: ShowInput,
  tools: Tools,
): Promise<ExitCode> {
  const { names } = shown;
  const { fieldSelector, selector, watch, output, sortBy } = input.settings;
  if (watch && names.length > 1) throw new UsageError("cannot watch several names: give one name, or none for all");
  const selectors = { fieldSelector, labelSelector: selector };
  // An invalid template is reported before any request is sent.
  const order = sortBy === undefined ? undefined : parseRowOrder(sortBy);
  const request = { shown, order, input, selectors, tools };
  const show = chooseForm(shown, output);
  await using connection = await connect(input.settings, tools);
  try {
    return await show(connection, request);
  } catch (error) {
    // Only the server knows which fields can be selected.
    if (fieldSelector === undefined || !isAppError(error, "invalid")) throw error;
    throw new AppError("invalid", `cannot use --field-selector "${fieldSelector}": ${error.message}`, { cause: error });
  }
}

type Show = (connection: ApiConnection, request: Request) => Promise<ExitCode>;

function chooseForm({ kind, table }: ShownObjects, format: RequestFormat | undefined): Show {
  if (format === undefined) return (connection, request) => showTables(connection, request, table);
  switch (format.kind) {
    case "wide":
      return (connection, request) => showTables(connection, request, table);
    case "kubectl":
      return (connection, request) => showTables(connection, request, undefined);
    default:
      return showObjectsAs(kind, format);
  }
}

/** Gets an object by its name or a short form of it. Returns the full name with the answer. */
function getByName<T>(
  name: string,
  get: (name: string) => Promise<T>,
  { api }: ApiConnection,
  { shown, tools: { signal } }: Request,
): Promise<{ readonly name: string; readonly value: T }> {
  return withWholeName(
    name,
    async (name) => ({ name, value: await get(name) }),
    () => shown.findName?.(name, api, signal),
  );
}

async function showTables(
  connection: ApiConnection,
  request: Request,
  own: OwnTable | undefined,
): Promise<ExitCode> {
  const { shown, order, input, selectors, tools } = request;
  const { signal, stdout } = tools;
  const { kind, names, extendWide, isShown = () => true, refine = (rows) => rows, afterTable } = shown;
  const { output, noHeaders, watch } = input.settings;
  const isWide = output?.kind === "wide";
  const isForPeople = own !== undefined;
  const isFitted = isForPeople && !isWide && stdout.isTerminal;
  const collection = formatCollectionPath(kind);
  const api = own === undefined ? createTableApi(connection.transport, tools) : connection.api;
  const decode = own === undefined ? decodeTable : createTableDecoder(own);
  const needsObjects = own === undefined && (shown.isShown !== undefined || order?.needsObjects === true);
  const included: QueryParameters = needsObjects ? { includeObject: "Object" } : {};
  const printer = createTablePrinter({
    isWide,
    hasHeader: !noHeaders,
    ...(isFitted ? { fitTo: () => stdout.columns } : {}),
    ...(isForPeople ? { style: createStyle(stdout, tools.env) } : {}),
  });
  const toShown = async (table: ServerTable): Promise<ServerTable> => {
    const chosen = { ...table, rows: table.rows.filter(({ object }) => isKubeObject(object) ? isShown(object) : true) };
    return isWide && extendWide !== undefined ? await extendWide(chosen, connection.api, signal) : chosen;
  };
  const print = ({ columnDefinitions, rows }: ServerTable): void => {
    stdout.write(printer.print(columnDefinitions, isFitted ? refine(rows) : rows));
  };
  const fetchTable = async (path: string): Promise<ServerTable> =>
    await toShown(decode(await api.requestJson({ method: "GET", path }, signal), path));
  let version = "";
  let code: ExitCode = EXIT.done;
  const tables: ServerTable[] = [];
  let [watched] = names;
  if (names.length > 0) {
    code = await forEachItem(names, async (given) => {
      const { name, value } = await getByName(
        given,
        (name) => fetchTable(withQuery(formatObjectPath(kind, name), included)),
        connection,
        request,
      );
      watched = name;
      version = value.metadata.resourceVersion ?? "";
      tables.push(value);
    }, tools);
  } else {
    for await (const page of readPages(collection, { ...selectors, ...included }, fetchTable)) {
      tables.push(page);
      version = page.metadata.resourceVersion ?? "";
    }
  }
  const together = joinTables(tables, order);
  if (together.rows.length > 0) print(together);
  else if (names.length === 0 && !watch) tools.stderr.write("No resources found\n");
  await afterTable?.(together.rows, connection.api, signal);
  if (!watch || code !== EXIT.done) return code;
  // The version of an object that has not changed for a long time is older than the server's history. Its watch therefore
  // starts at 0, which delivers the object again.
  const isSingle = watched !== undefined;
  const parameters = { ...(isSingle ? { fieldSelector: `metadata.name=${watched}` } : selectors), ...included };
  for await (
    const object of watchObjects(api, collection, parameters, isSingle ? "0" : version, tools.clock, signal)
  ) {
    const table = await toShown(decode(object, collection));
    if (isSingle && table.rows[0]?.object?.metadata?.resourceVersion === version) continue;
    if (table.rows.length > 0) print(table);
  }
  return EXIT.done;
}

/** Joins Tables, because the width of a column depends on all rows, and sorts the rows. */
function joinTables(tables: readonly ServerTable[], order: RowOrder | undefined): ServerTable {
  const columnDefinitions = tables[0]?.columnDefinitions ?? [];
  const rows = tables.flatMap((table) => table.rows);
  return { metadata: {}, columnDefinitions, rows: order?.sort(columnDefinitions, rows) ?? rows };
}

function showObjectsAs(kind: Kind, format: ObjectFormat): Show {
  const printer = createObjectPrinter(format, formatQualifiedKind({ ...kind, kind: kind.singular }));
  return async (connection, request) => {
    const { api } = connection;
    const { shown, order, input, selectors, tools } = request;
    const { signal, stdout } = tools;
    const { names, isShown = () => true } = shown;
    const collection = formatCollectionPath(kind);
    const found: KubeObject[] = [];
    let version = "0";
    let code: ExitCode = EXIT.done;
    if (names.length > 0) {
      code = await forEachItem(names, async (given) => {
        const get = (name: string): Promise<KubeObject> =>
          api.requestObject({ method: "GET", path: formatObjectPath(kind, name) }, signal);
        found.push((await getByName(given, get, connection, request)).value);
      }, tools);
    } else {
      const listing = await listAll(api, collection, selectors, signal);
      found.push(...sortObjects(listing.items.filter(isShown), order, shown).map((item) => withType(item, kind)));
      version = listing.resourceVersion;
    }
    const [only] = found;
    const isSingle = names.length === 1;
    if (input.settings.watch && !isSingle) found.forEach((object) => stdout.write(printer.printOne(object)));
    else if (!isSingle) stdout.write(printer.printList(found));
    else if (only !== undefined) stdout.write(printer.printOne(only));
    if (!input.settings.watch || code !== EXIT.done) return code;
    const parameters = isSingle ? { fieldSelector: `metadata.name=${only?.metadata.name ?? ""}` } : selectors;
    for await (
      const object of watchObjects(api, collection, parameters, isSingle ? "0" : version, tools.clock, signal)
    ) {
      if (!isKubeObject(object)) throw new AppError("api_error", "cannot read the watch: an event has no object");
      if (!isShown(object)) continue;
      if (!isSingle || object.metadata.resourceVersion !== only?.metadata.resourceVersion) {
        stdout.write(printer.printOne(object));
      }
    }
    return EXIT.done;
  };
}

/** Sorts whole objects. Sorting by a column needs our own table. */
function sortObjects(
  objects: readonly KubeObject[],
  order: RowOrder | undefined,
  { table }: ShownObjects,
): readonly KubeObject[] {
  if (order === undefined) return objects;
  if (table === undefined && !order.needsObjects) {
    throw new UsageError("with this output format, --sort-by needs a path such as .metadata.name");
  }
  const rows = objects.map((object) => ({
    object,
    cells: table?.toCells(object) ?? [],
    sortValues: table?.toSortValues?.(object),
  }));
  return order.sort(table?.columns ?? [], rows).map(({ object }) => object);
}

function isKubeObject(value: unknown): value is KubeObject {
  return typeof value === "object" && value !== null && "metadata" in value && typeof value.metadata === "object";
}
