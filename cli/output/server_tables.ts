/**
 * Reads and watches Tables of the server (apiserver `pkg/endpoints/handlers/response.go` and
 * `pkg/endpoints/handlers/watch.go`), and makes our own tables.
 */
import {
  type ApiClient,
  createApiClient,
  decodeApiObject,
  type QueryParameters,
  withAccept,
  withQuery,
} from "../../client/objects/api.ts";
import { readJsonLines } from "../../client/objects/watch_events.ts";
import { AppError } from "../../core/errors.ts";
import type { KubeObject, ListMeta, ObjectMeta } from "../../core/kube/meta.ts";
import { isRecord } from "../../core/lib/record.ts";
import { errorFromStatus } from "../../core/kube/status/status.ts";
import type { Io } from "../io.ts";
import type { Clock, Transport } from "../../core/ports.ts";
import type { SortableRow } from "./sort.ts";
import type { TableColumn } from "./table_printer.ts";

/** The Accept header of kubectl (kubectl `pkg/cmd/get/get.go`, `transformRequests`). */
const TABLE_ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io," +
  "application/json";

/** The pause between a watch without events and the next one. */
const PAUSE_MS = 1_000;

/** A Table from the server, with the metadata of its rows. */
export interface ServerTable {
  readonly metadata: ListMeta;
  readonly columnDefinitions: readonly TableColumn[];
  readonly rows: readonly ServerTableRow[];
}

/** A row of a Table, with the metadata of its object, or with the whole object if that was requested. */
interface ServerTableRow extends SortableRow {
  readonly object?: { readonly metadata?: ObjectMeta } | null;
}

/** Creates an API client that receives Tables from servers that support them. */
export function createTableApi(transport: Transport, io: Io): ApiClient {
  return createApiClient(withAccept(transport, TABLE_ACCEPT), { clock: io.clock });
}

/** Decodes a Table. Throws AppError `api_error` for any other answer. */
export function decodeTable(value: unknown, path: string): ServerTable {
  if (isRecord(value) && value["kind"] === "Table" && Array.isArray(value["rows"] ?? [])) {
    // kubectl relies on the same fields. Cells may have any type.
    const table = value as Partial<ServerTable>;
    return {
      metadata: table.metadata ?? {},
      columnDefinitions: table.columnDefinitions ?? [],
      rows: (table.rows ?? []).map((row) => ({ ...row, cells: Array.isArray(row.cells) ? row.cells : [] })),
    };
  }
  throw new AppError("api_error", `cannot read the answer to "${path}": the server sent no Table`);
}

/** A table with our own columns instead of the server's. */
export interface OwnTable {
  readonly columns: readonly TableColumn[];
  /** Returns the cells of an object; an undefined cell becomes `<none>`. */
  toCells(object: KubeObject): readonly unknown[];
  /** Returns values to sort by instead of the cells; undefined to sort by the cell. */
  toSortValues?(object: KubeObject): readonly unknown[];
}

/** Creates a decoder that makes a table from a list or one object. It throws as `decodeTable` does. */
export function createTableDecoder(table: OwnTable): typeof decodeTable {
  return (value, path) => {
    const items = isRecord(value) && "items" in value ? value["items"] ?? [] : [value];
    if (!isRecord(value) || !Array.isArray(items)) {
      throw new AppError("api_error", `cannot read the answer to "${path}": it is not a list`);
    }
    const objects = items.map((item: unknown) => decodeApiObject(item, path));
    return {
      metadata: isRecord(value["metadata"]) ? value["metadata"] : {},
      columnDefinitions: table.columns,
      rows: objects.map((object) => ({
        cells: table.toCells(object),
        object,
        sortValues: table.toSortValues?.(object),
      })),
    };
  };
}

/** Yields the objects of a watch that starts at a resource version. Starts another watch when the server ends one. */
export async function* watchObjects(
  api: ApiClient,
  path: string,
  parameters: QueryParameters,
  from: string,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  let resourceVersion = from;
  while (true) {
    const query = withQuery(path, { ...parameters, resourceVersion, watch: "true" });
    const answer = await api.open({ method: "GET", path: query }, signal);
    const before = resourceVersion;
    for await (const event of readJsonLines(answer.body)) {
      const object = decodeEvent(event);
      resourceVersion = findResourceVersion(object) ?? resourceVersion;
      yield object;
    }
    signal.throwIfAborted();
    // A server that ends each watch at once must not be called without a pause.
    if (resourceVersion === before) await clock.sleep(PAUSE_MS, signal);
  }
}

function decodeEvent(event: unknown): unknown {
  if (!isRecord(event)) throw new AppError("api_error", "cannot read the watch: an event is not an object");
  if (event["type"] === "ERROR") throw errorFromStatus(500, event["object"]);
  return event["object"];
}

/** Finds the resource version of an object, or of the first row of a Table. */
function findResourceVersion(object: unknown): string | undefined {
  if (!isRecord(object)) return undefined;
  const rows = object["rows"];
  const inner = object["kind"] === "Table" && Array.isArray(rows) && isRecord(rows[0]) ? rows[0]["object"] : object;
  const metadata = isRecord(inner) ? inner["metadata"] : undefined;
  const version = isRecord(metadata) ? metadata["resourceVersion"] : undefined;
  return typeof version === "string" && version !== "" ? version : undefined;
}
