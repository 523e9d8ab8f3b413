/** Tables: the rows that `kubectl get` prints (`meta/v1` Table). */
import type { KubeObject, ListMeta } from "../../core/kube/meta.ts";
import { encodeObject } from "../../core/kube/codec/encode.ts";
import { quoteText } from "../../core/kube/quote.ts";
import { badRequest } from "../../core/kube/status.ts";
import { cellOf, createdAtColumn } from "../registry/columns.ts";
import type { ColumnDefinition, Resource } from "../registry/resource.ts";
import { wireOf } from "./encoding.ts";

/** What a row carries beside its cells. */
export type IncludeObject = "Metadata" | "Object" | "None";

/** A Table without `kind` and `apiVersion`. */
export interface Table {
  readonly metadata: ListMeta;
  readonly columnDefinitions: readonly ColumnDefinition[];
  /** Null for an empty list of a kind without columns of its own. */
  readonly rows: readonly object[] | null;
}

/** Reads `?includeObject=`. Throws StatusError 400 for another value. */
export function parseIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get("includeObject") ?? "";
  if (value === "" || value === "Metadata") return "Metadata";
  if (value === "Object" || value === "None") return value;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${quoteText(value)}: ` +
      "must be 'Metadata', 'Object', 'None', or empty",
  );
}

/** Builds a Table of objects of one resource. */
export function tableOf(
  resource: Resource,
  metadata: ListMeta,
  objects: readonly KubeObject[],
  include: IncludeObject,
  metaVersion: string,
  now: Date,
): Table {
  return {
    metadata,
    columnDefinitions: columnDefinitionsOf(resource),
    rows: objects.length === 0 ? emptyRows(resource) : objects.map((object) => ({
      cells: resource.columns.map((column) => cellOf(column, object, now)),
      object: rowObject(resource, object, include, metaVersion),
    })),
  };
}

/** What stands in a Table without rows: the convertor for kinds without printer never makes a list (`apiserver/pkg/registry/rest/table.go`). */
export function emptyRows({ columns }: Resource): readonly [] | null {
  return columns.includes(createdAtColumn) ? null : [];
}

/** The columns as they are described to clients. */
export function columnDefinitionsOf(resource: Resource): readonly ColumnDefinition[] {
  return resource.columns.map(({ name, type, format, description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

/** What a row says of its object. */
export function rowObject(
  resource: Resource,
  object: KubeObject,
  include: IncludeObject,
  metaVersion: string,
): object | null {
  if (include === "None") return null;
  if (include === "Object") return encodeObject(wireOf(resource.kind), object);
  return {
    kind: "PartialObjectMetadata",
    apiVersion: `meta.k8s.io/${metaVersion}`,
    metadata: object.metadata,
  };
}
