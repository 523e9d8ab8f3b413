/** The order of lists by `--sort-by`: by the name of a column, or by a JSONPath as in kubectl. */
import { findPathValues, parseRelaxedPath } from "./jsonpath.ts";
import type { TableColumn, TableRow } from "./table_printer.ts";
import { compareNaturally } from "../../core/lib/natural_order.ts";
import { UsageError } from "../exit_code.ts";

export interface SortableRow extends TableRow {
  /** The object of the row, for a JSONPath. */
  readonly object?: unknown;
  /** Values to sort by instead of the cells of their columns; undefined to sort by the cell. */
  readonly sortValues?: readonly unknown[] | undefined;
}

export interface RowOrder {
  /** Whether the rows need whole objects. */
  readonly needsObjects: boolean;
  /** Returns the sorted rows. Throws UsageError for an unknown column, and for a path that no object has. */
  sort<R extends SortableRow>(columns: readonly TableColumn[], rows: readonly R[]): readonly R[];
}

/** Parses the value of `--sort-by`: a JSONPath if it has a dot or a bracket, and otherwise the name of a column. */
export function parseRowOrder(text: string): RowOrder {
  if (!/[.[{]/.test(text)) return { needsObjects: false, sort: (columns, rows) => sortByColumn(text, columns, rows) };
  const path = parseRelaxedPath(text);
  return {
    needsObjects: true,
    sort(_columns, rows) {
      const keyed = rows.map((row) => ({ row, value: findPathValues(path, row.object)[0] }));
      if (keyed.length > 0 && keyed.every(({ value }) => value === undefined)) {
        throw new UsageError(`cannot sort by "${text}": no object in the list has that field`);
      }
      // As in kubectl, objects without the field come first, and texts are compared by their characters.
      return keyed.sort((a, b) => compareValues(a.value, b.value, -1, compareTexts)).map(({ row }) => row);
    },
  };
}

function sortByColumn<R extends SortableRow>(
  text: string,
  columns: readonly TableColumn[],
  rows: readonly R[],
): readonly R[] {
  const index = columns.findIndex(({ name }) => toKey(name) === toKey(text));
  if (index < 0) {
    const known = columns.map(({ name }) => toKey(name)).join(", ");
    throw new UsageError(
      `cannot sort by "${text}": no column has that name`,
      `use one of ${known}; or a path such as .metadata.name`,
    );
  }
  const isAge = toKey(columns[index]?.name ?? "") === "age";
  const read = (row: R): unknown => {
    const value = row.sortValues?.[index] ?? (isAge ? findNegativeTime(row.object) : undefined) ?? row.cells[index];
    return value === null || value === "" || value === "<none>" ? undefined : value;
  };
  return rows.toSorted((a, b) => compareValues(read(a), read(b), 1, compareNaturally));
}

/** Returns a number that grows with the age of an object, because the cells are texts such as `10m`. */
function findNegativeTime(object: unknown): number | undefined {
  const [created] = findPathValues(CREATION, object);
  const time = typeof created === "string" ? Date.parse(created) : Number.NaN;
  return Number.isNaN(time) ? undefined : -time;
}

const CREATION = parseRelaxedPath(".metadata.creationTimestamp");

/** Converts the name of a column to the form in which users type it: `requested-by` for `Requested By`. */
function toKey(name: string): string {
  return name.toLowerCase().replaceAll(" ", "-");
}

/** Compares two values. `absent` is the result for an absent left value: 1 puts absent values last. */
function compareValues(
  left: unknown,
  right: unknown,
  absent: 1 | -1,
  compare: (left: string, right: string) => number,
): number {
  if (left === undefined || right === undefined) {
    return left === right ? 0 : left === undefined ? absent : -absent;
  }
  if (typeof left === "number" && typeof right === "number") return left - right;
  return compare(String(left), String(right));
}

function compareTexts(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
