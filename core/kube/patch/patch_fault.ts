/** How the parts of a strategic merge give up: thrown deep inside, turned into a value by `strategic.ts`. */
import { AppError } from "../../errors.ts";
import { isJsonObject } from "../json_value.ts";
import { getGoType, printGoValue } from "./go_value.ts";
import type { PatchError } from "./patch_error.ts";

/** A strategic merge cannot go on. Never leaves this folder. */
export class PatchFault extends AppError {
  readonly patchError: PatchError;

  constructor(patchError: PatchError) {
    super("invalid", patchError.message);
    this.patchError = patchError;
  }
}

/** A malformed directive: 400. */
export function badDirective(name: "primitive list" | "retainKeys" | "setElementOrder list"): PatchFault {
  return new PatchFault({ kind: "badRequest", message: `invalid patch format of ${name}` });
}

/** Lists of lists have no merge: 422. */
export function listOfLists(): PatchFault {
  return new PatchFault({ kind: "unprocessable", message: "lists of lists are not supported" });
}

/** Whatever upstream lets through as an untyped error: 500. */
export function otherFault(message: string): PatchFault {
  return new PatchFault({ kind: "internal", message });
}

/** An element of a merged list lacks the key by which elements are told apart. */
export function noMergeKey(element: unknown, mergeKey: string): PatchFault {
  return otherFault(`map: ${printGoValue(element)} does not contain declared merge key: ${mergeKey}`);
}

/** A value has another type than a directive needs. */
export function badType(expected: "list" | "map", value: unknown): PatchFault {
  return otherFault(`expected a ${getGoType(expected === "list" ? [] : {})}, but received a ${getGoType(value)}`);
}

/** A `$patch` directive that is not known. */
export function badPatchType(directive: unknown, map: unknown): PatchFault {
  return otherFault(`unknown patch type: ${printAsText(directive)} in map: ${printGoValue(map)}`);
}

/** Prints a value as `fmt.Sprintf("%s")` does, which only takes text. */
function printAsText(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return `[${value.map(printAsText).join(" ")}]`;
  if (isJsonObject(value)) {
    return `map[${Object.keys(value).sort().map((key) => `${key}:${printAsText(value[key])}`).join(" ")}]`;
  }
  const type = getGoType(value);
  return value === null ? type : `%!s(${type}=${printGoValue(value)})`;
}
