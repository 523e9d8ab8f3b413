/** Tables, whose rows `kubectl get` prints (`meta/v1` Table), as objects and as compact JSON from cached rows. */
import type { KubeObject, ListMeta } from "../../core/kube/meta.ts";
import { encodeObject, jsonText } from "../../core/kube/wire/encode.ts";
import { goQuote } from "../../core/lib/quote.ts";
import { badRequest } from "../../core/kube/status/status.ts";
import { createdAtColumn, formatAge, parseMoment, renderCell } from "../registry/columns.ts";
import type { ColumnDefinition, Resource } from "../registry/resource.ts";
import { toWire } from "./respond.ts";
import { Buffer } from "node:buffer";
import type { Stored } from "../storage/storage.ts";

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

/** Returns the rows of an empty Table: for kinds without a printer upstream creates no list (`apiserver/pkg/registry/rest/table.go`). */
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

/** The JSON of a row with a leading comma, split at its ages, and the moments from which the ages count. */
interface KeptRow {
  readonly resource: Resource;
  readonly metaVersion: string;
  readonly texts: readonly Uint8Array[];
  readonly moments: readonly (number | undefined)[];
}

const TABLE_END = "]}\n";
const keptRows = new WeakMap<Pick<Stored, "object">, KeptRow>();
/** The resources of which a Table was requested. Most servers never get such a request, and rows need much memory. */
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
    const { texts, moments } = getKeptRow(resource, item, metaVersion);
    pieces.push(pieces.length === 0 ? texts[0]!.subarray(1) : texts[0]!);
    for (let index = 0; index < moments.length; index++) pieces.push(ageSince(moments[index]), texts[index + 1]!);
  }
  return pieces;
}

function getKeptRow(resource: Resource, item: Pick<Stored, "object">, metaVersion: string): KeptRow {
  const known = keptRows.get(item);
  if (known?.resource === resource && known.metaVersion === metaVersion) return known;
  const made = makeRow(resource, item, metaVersion);
  keptRows.set(item, made);
  return made;
}

/** Makes the row of an object for the next Table that kubectl requests, once it has requested one. */
export function prepareRow(resource: Resource, stored: Stored): void {
  if (shownResources.has(resource)) getKeptRow(resource, stored, "v1");
}

/** Drops the row of a state that is history, because history exists for five minutes and is rarely listed. */
export function dropRow(stored: Stored): void {
  keptRows.delete(stored);
}

function makeRow(resource: Resource, { object }: Pick<Stored, "object">, metaVersion: string): KeptRow {
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
