/**
 * Rows of Tables as they are sent (compact JSON), each made once: what changes with time is the ages, which are put in
 * between. A list of rows is then the kept bytes, one after the other, as other lists are.
 */
import { Buffer } from "node:buffer";
import { jsonText } from "../../core/kube/codec/encode.ts";
import type { ListMeta } from "../../core/kube/meta.ts";
import { formatAge, momentOf } from "../registry/columns.ts";
import type { Resource } from "../registry/resource.ts";
import type { Stored } from "../storage/storage.ts";
import { columnDefinitionsOf, emptyRows, rowObject } from "./table.ts";

/** Of a row with a comma before it, what stands before, between and after its ages, which count from the moments. */
interface KeptRow {
  readonly resource: Resource;
  readonly metaVersion: string;
  readonly texts: readonly Uint8Array[];
  readonly moments: readonly (number | undefined)[];
}

const TABLE_END = "]}\n";
const keptRows = new WeakMap<Pick<Stored, "object">, KeptRow>();

/** A Table of objects, in compact JSON; a row has the metadata of its object. */
export function encodeTable(
  resource: Resource,
  metadata: ListMeta,
  items: readonly Pick<Stored, "object">[],
  metaVersion: string,
  now: Date,
): readonly Uint8Array[] {
  const columnDefinitions = columnDefinitionsOf(resource);
  const identity = { kind: "Table", apiVersion: `meta.k8s.io/${metaVersion}`, metadata, columnDefinitions };
  if (items.length === 0) return [Buffer.from(`${jsonText({ ...identity, rows: emptyRows(resource) })}\n`, "utf8")];
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
  const ages = new Map<number | undefined, Uint8Array>();
  const ageSince = (moment: number | undefined): Uint8Array => {
    let age = ages.get(moment);
    if (age === undefined) ages.set(moment, age = Buffer.from(jsonText(formatAge(moment, now)), "utf8"));
    return age;
  };
  const pieces: Uint8Array[] = [];
  for (const item of items) {
    const { texts, moments } = keptRow(resource, item, metaVersion);
    pieces.push(pieces.length === 0 ? texts[0]!.subarray(1) : texts[0]!);
    for (let index = 0; index < moments.length; index++) pieces.push(ageSince(moments[index]), texts[index + 1]!);
  }
  return pieces;
}

function keptRow(resource: Resource, item: Pick<Stored, "object">, metaVersion: string): KeptRow {
  const known = keptRows.get(item);
  if (known?.resource === resource && known.metaVersion === metaVersion) return known;
  const made = makeRow(resource, item, metaVersion);
  keptRows.set(item, made);
  return made;
}

function makeRow(resource: Resource, { object }: Pick<Stored, "object">, metaVersion: string): KeptRow {
  const texts: Uint8Array[] = [];
  const moments: (number | undefined)[] = [];
  let text = `,{"cells":[`;
  for (const [index, column] of resource.columns.entries()) {
    if (index > 0) text += ",";
    if ("since" in column) {
      texts.push(Buffer.from(text, "utf8"));
      moments.push(momentOf(column.since(object)));
      text = "";
    } else {
      text += jsonText(column.cell(object));
    }
  }
  text += `],"object":${jsonText(rowObject(resource, object, "Metadata", metaVersion))}}`;
  texts.push(Buffer.from(text, "utf8"));
  return { resource, metaVersion, texts, moments };
}
