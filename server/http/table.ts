/**
 * Tables, whose rows `kubectl get` prints (`meta/v1` Table), as objects and as compact JSON from cached rows. To keep
 * lists of thousands of objects fast after many changes, their parts are prepared in advance: the rows of Tables, from
 * the first Table on, and the JSON of objects that a shared store keeps in another encoding.
 */
import type { KubeObject, ListMeta } from "../../core/kube/meta.ts";
import { encodeObject, jsonText } from "../../core/kube/wire/object_json.ts";
import { goQuote } from "../../core/lib/go_text.ts";
import { badRequest } from "../../core/kube/status/status.ts";
import {
  type ColumnDefinition,
  createdAtColumn,
  formatAge,
  parseMoment,
  renderCell,
  type Resource,
} from "../registry/resource.ts";
import { toWire } from "./respond.ts";
import { Buffer } from "node:buffer";
import type { Storage, StorageEvent, Stored } from "../storage/storage.ts";
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../core/ports.ts";
import { toKeyPrefix } from "../registry/registry.ts";
import { followResource } from "../storage/follow.ts";

/** The object that a row contains besides its cells. */
export type IncludeObject = "Metadata" | "Object" | "None";

/** A Table without `kind` and `apiVersion`. */
export interface Table {
  readonly metadata: ListMeta;
  readonly columnDefinitions: readonly ColumnDefinition[];
  /** The rows; null for an empty list of a kind without its own columns. */
  readonly rows: readonly object[] | null;
}

/** Parses `?includeObject=`. Throws StatusError 400 for an unknown value. */
export function parseIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get("includeObject") ?? "";
  if (value === "" || value === "Metadata") return "Metadata";
  if (value === "Object" || value === "None") return value;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${goQuote(value)}: ` +
      "must be 'Metadata', 'Object', 'None', or empty",
  );
}

export function createTable(
  resource: Resource,
  metadata: ListMeta,
  objects: readonly KubeObject[],
  include: IncludeObject,
  metaVersion: string,
  now: Date,
): Table {
  return {
    metadata,
    columnDefinitions: toColumnDefinitions(resource),
    rows: objects.length === 0 ? createEmptyRows(resource) : objects.map((object) => ({
      cells: resource.columns.map((column) => renderCell(column, object, now)),
      object: createRowObject(resource, object, include, metaVersion),
    })),
  };
}

/**
 * Returns the rows of an empty Table. For kinds without a printer, upstream creates no list
 * (`apiserver/pkg/registry/rest/table.go`).
 */
function createEmptyRows({ columns }: Resource): readonly [] | null {
  return columns.includes(createdAtColumn) ? null : [];
}

function toColumnDefinitions(resource: Resource): readonly ColumnDefinition[] {
  return resource.columns.map(({ name, type, format, description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

function createRowObject(
  resource: Resource,
  object: KubeObject,
  include: IncludeObject,
  metaVersion: string,
): object | null {
  if (include === "None") return null;
  if (include === "Object") return encodeObject(toWire(resource.kind), object);
  return {
    kind: "PartialObjectMetadata",
    apiVersion: `meta.k8s.io/${metaVersion}`,
    metadata: object.metadata,
  };
}

/** The JSON of a row with a leading comma, split at its ages, and the times from which the ages are counted. */
interface CachedRow {
  readonly resource: Resource;
  readonly metaVersion: string;
  readonly texts: readonly Uint8Array[];
  readonly moments: readonly (number | undefined)[];
}

const TABLE_END = "]}\n";
const cachedRows = new WeakMap<Pick<Stored, "object">, CachedRow>();
/**
 * The resources for which a Table has been requested. Most servers never get such a request, and rows take much memory.
 */
const shownResources = new WeakSet<Resource>();

/**
 * Encodes a Table of objects as compact JSON; a row has the metadata of its object. The rows are cached with the objects,
 * and only the ages in them are computed again.
 */
export function encodeTable(
  resource: Resource,
  metadata: ListMeta,
  items: readonly Pick<Stored, "object">[],
  metaVersion: string,
  now: Date,
): readonly Uint8Array[] {
  const columnDefinitions = toColumnDefinitions(resource);
  const identity = { kind: "Table", apiVersion: `meta.k8s.io/${metaVersion}`, metadata, columnDefinitions };
  if (items.length === 0) {
    return [Buffer.from(`${jsonText({ ...identity, rows: createEmptyRows(resource) })}\n`, "utf8")];
  }
  const empty = jsonText({ ...identity, rows: [] });
  const head = empty.slice(0, -"]}".length);
  return [Buffer.from(head, "utf8"), ...encodeRows(resource, items, metaVersion, now), Buffer.from(TABLE_END, "utf8")];
}

function encodeRows(
  resource: Resource,
  items: readonly Pick<Stored, "object">[],
  metaVersion: string,
  now: Date,
): Uint8Array[] {
  shownResources.add(resource);
  const ages = new Map<number | undefined, Uint8Array>();
  const ageSince = (moment: number | undefined): Uint8Array => {
    let age = ages.get(moment);
    if (age === undefined) ages.set(moment, age = Buffer.from(jsonText(formatAge(moment, now)), "utf8"));
    return age;
  };
  const pieces: Uint8Array[] = [];
  for (const item of items) {
    const { texts, moments } = getCachedRow(resource, item, metaVersion);
    pieces.push(pieces.length === 0 ? texts[0]!.subarray(1) : texts[0]!);
    for (let index = 0; index < moments.length; index++) pieces.push(ageSince(moments[index]), texts[index + 1]!);
  }
  return pieces;
}

function getCachedRow(resource: Resource, item: Pick<Stored, "object">, metaVersion: string): CachedRow {
  const known = cachedRows.get(item);
  if (known?.resource === resource && known.metaVersion === metaVersion) return known;
  const row = createRow(resource, item, metaVersion);
  cachedRows.set(item, row);
  return row;
}

function createRow(resource: Resource, { object }: Pick<Stored, "object">, metaVersion: string): CachedRow {
  const texts: Uint8Array[] = [];
  const moments: (number | undefined)[] = [];
  let text = `,{"cells":[`;
  for (const [index, column] of resource.columns.entries()) {
    if (index > 0) text += ",";
    if ("since" in column) {
      texts.push(Buffer.from(text, "utf8"));
      moments.push(parseMoment(column.since(object)));
      text = "";
    } else {
      text += jsonText(column.cell(object));
    }
  }
  text += `],"object":${jsonText(createRowObject(resource, object, "Metadata", metaVersion))}}`;
  texts.push(Buffer.from(text, "utf8"));
  return { resource, metaVersion, texts, moments };
}

/** The pause before changes are prepared, because a request often changes three times in its first second. */
const PAUSE_MS = 1_000;
/** With more changes than this during a pause, another pause follows, so that a burst of requests is served first. */
const FEW_CHANGES = 10;
/** How many objects are prepared before other work may run; each takes up to 50 µs. */
const PREPARED_AT_ONCE = 20;

/** Prepares the existing objects of a resource, then those that change, until it is disposed. */
export async function prepareLists(
  storage: Pick<Storage, "list" | "watch">,
  resource: Resource,
  clock: Pick<Clock, "sleep">,
): Promise<Disposable> {
  const waiting = new Set<Stored>();
  const stopping = new AbortController();
  let isPausing = false;
  let changes = 0;

  async function prepareSoon(): Promise<void> {
    if (isPausing) return;
    isPausing = true;
    let seen: number;
    do {
      seen = changes;
      await clock.sleep(PAUSE_MS, stopping.signal);
    } while (changes - seen > FEW_CHANGES);
    isPausing = false;
    let prepared = 0;
    for (const stored of [...waiting]) {
      // A state that was replaced in the meantime is skipped.
      if (!waiting.delete(stored)) continue;
      prepare(resource, stored);
      if (++prepared % PREPARED_AT_ONCE === 0) await setImmediate();
    }
  }

  function add(stored: Stored): void {
    waiting.add(stored);
    // It rejects only after the disposal.
    prepareSoon().catch(() => undefined);
  }

  function drop({ previous }: StorageEvent): void {
    changes++;
    if (previous === undefined) return;
    waiting.delete(previous);
    // A replaced state is rarely listed, but stays in the history for five minutes.
    cachedRows.delete(previous);
  }

  const watch = await followResource(storage, toKeyPrefix(resource, ""), {
    clear: () => waiting.clear(),
    added(_name, stored, change) {
      if (change !== undefined) drop(change);
      add(stored);
    },
    removed: (_name, change) => drop(change),
  });
  return {
    [Symbol.dispose]() {
      watch.stop();
      waiting.clear();
      stopping.abort(new Error("lists are no longer prepared"));
    },
  };
}

function prepare(resource: Resource, stored: Stored): void {
  try {
    if (shownResources.has(resource)) getCachedRow(resource, stored, "v1");
    // Reading the bytes encodes them.
    void stored.bytes;
  } catch {
    // A list that contains the object will report the error.
  }
}
