/** Columns that many resources share. */
import { formatHumanDuration } from "../../core/kube/human_duration.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { Cell, Column } from "./resource.ts";

/** The name of the object. */
export const nameColumn: Column = {
  name: "Name",
  type: "string",
  format: "name",
  priority: 0,
  description: "The name of the object, unique in its scope.",
  cell: getName,
};

/** Time since creation. */
export const ageColumn: Column = sinceColumn(
  "Age",
  "Time since the object was created.",
  (object) => object.metadata.creationTimestamp,
);

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
export function textColumn<T extends KubeObject>(
  name: string,
  description: string,
  cell: (object: T) => string,
  priority = 0,
): Column<T> {
  return { name, type: "string", format: "", priority, description, cell };
}

/** The time since a moment (RFC 3339) that an object tells. */
export function sinceColumn<T extends KubeObject>(
  name: string,
  description: string,
  since: (object: T) => string | null | undefined,
  priority = 0,
): Column<T> {
  return { name, type: "string", format: "", priority, description, since };
}

/** What a column shows of an object. */
export function renderCell<T extends KubeObject>(column: Column<T>, object: T, now: Date): Cell {
  return "since" in column ? formatAge(parseMoment(column.since(object)), now) : column.cell(object);
}

/** An RFC 3339 time in milliseconds since 1970. */
export function parseMoment(time: string | null | undefined): number | undefined {
  return time === undefined || time === null ? undefined : Date.parse(time);
}

/** The time since a moment in the form that tables show; `<unknown>` without one. */
export function formatAge(moment: number | undefined, now: Date): string {
  return moment === undefined ? "<unknown>" : formatHumanDuration(now.getTime() - moment);
}
