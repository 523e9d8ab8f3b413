/** Columns that many resources share. */
import { formatHumanDuration } from "../../core/kube/human_duration.ts";
import { nameOf } from "../../core/kube/meta.ts";
import type { Column } from "./resource.ts";

/** The name of the object. */
export const nameColumn: Column = {
  name: "Name",
  type: "string",
  format: "name",
  priority: 0,
  description: "The name of the object, unique in its scope.",
  cell: nameOf,
};

/** Time since creation. */
export const ageColumn: Column = {
  name: "Age",
  type: "string",
  format: "",
  priority: 0,
  description: "Time since the object was created.",
  cell: (object, now) => formatAge(object.metadata.creationTimestamp, now),
};

/** How Go writes the time that bookmarks have not. */
const ZERO_TIME = "0001-01-01T00:00:00Z";

/** When the object was created, as RBAC kinds show it. */
export const createdAtColumn: Column = {
  name: "Created At",
  type: "date",
  format: "",
  priority: 0,
  description: "When the object was created.",
  cell: (object) => object.metadata.creationTimestamp ?? ZERO_TIME,
};

/** A text column. */
export function textColumn<T extends Parameters<Column["cell"]>[0]>(
  name: string,
  description: string,
  cell: (object: T, now: Date) => string,
  priority = 0,
): Column<T> {
  return { name, type: "string", format: "", priority, description, cell };
}

/** Time since an RFC 3339 time in the form that tables show; `<unknown>` without one. */
export function formatAge(time: string | null | undefined, now: Date): string {
  if (time === undefined || time === null) return "<unknown>";
  return formatHumanDuration(now.getTime() - Date.parse(time));
}
