/** Columns that many resources share. */
import { formatHumanDuration } from "../../core/lib/duration.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { Cell, Column } from "./resource.ts";

export const nameColumn: Column = {
  name: "Name",
  type: "string",
  format: "name",
  priority: 0,
  description: "The name of the object, unique in its scope.",
  cell: getName,
};

/** The column that shows the time since creation. */
export const ageColumn: Column = sinceColumn(
  "Age",
  "Time since the object was created.",
  (object) => object.metadata.creationTimestamp,
);

/** Go's zero time, which stands for a missing time. */
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

/** Creates a column of texts or counts, which clients show as text. */
export function textColumn<T extends KubeObject>(
  name: string,
  description: string,
  cell: (object: T) => Cell,
  priority = 0,
): Column<T> {
  return { name, type: "string", format: "", priority, description, cell };
}

/** Creates a column that shows the time since a moment (RFC 3339) of the object. */
export function sinceColumn<T extends KubeObject>(
  name: string,
  description: string,
  since: (object: T) => string | null | undefined,
  priority = 0,
): Column<T> {
  return { name, type: "string", format: "", priority, description, since };
}

export function renderCell<T extends KubeObject>(column: Column<T>, object: T, now: Date): Cell {
  return "since" in column ? formatAge(parseMoment(column.since(object)), now) : column.cell(object);
}

/** Parses an RFC 3339 time to milliseconds since 1970; undefined when there is none. */
export function parseMoment(time: string | null | undefined): number | undefined {
  return time === undefined || time === null ? undefined : Date.parse(time);
}

/** Formats the time since a moment as tables show it; `<unknown>` without one. */
export function formatAge(moment: number | undefined, now: Date): string {
  return moment === undefined ? "<unknown>" : formatHumanDuration(now.getTime() - moment);
}
