/** The columns of `-o custom-columns=NAME:.metadata.name,...` (cli-runtime `pkg/cmd/get/customcolumn.go`). */
import { UsageError } from "../framework/usage_error.ts";
import { findPathValues, formatPathValue, parseRelaxedPath, type Path } from "./jsonpath.ts";
import type { TableColumn } from "./table.ts";

/** A table whose columns a user has chosen. */
export interface CustomTable {
  readonly columns: readonly TableColumn[];
  /** Returns the cells of an object; an undefined one becomes `<none>`. */
  toCells(object: unknown): readonly (string | undefined)[];
}

/** Parses the columns, `HEADING:PATH` with commas between them. Throws UsageError that names the invalid one. */
export function parseCustomColumns(spec: string): CustomTable {
  const columns = spec.split(",").map((text): { readonly heading: string; readonly path: Path } => {
    const [heading = "", ...rest] = text.split(":");
    if (rest.length === 0) {
      throw new UsageError(`cannot read custom column "${text}": want HEADING:PATH, such as NAME:.metadata.name`);
    }
    return { heading, path: parseRelaxedPath(rest.join(":")) };
  });
  return {
    columns: columns.map(({ heading }) => ({ name: heading, heading })),
    toCells: (object) =>
      columns.map(({ path }) => {
        const values = findPathValues(path, object).filter((value) => value !== undefined);
        return values.length === 0 ? undefined : values.map(formatCustomValue).join(",");
      }),
  };
}

function formatCustomValue(value: unknown): string {
  return value === null ? "<nil>" : formatPathValue(value);
}
