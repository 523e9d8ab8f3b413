/** The errors that the parts of a strategic merge throw; `strategic.ts` converts them to values. */
import { AppError } from "../../errors.ts";
import { isJsonObject } from "../json_value.ts";
import { getGoType, printGoValue } from "./go_value.ts";
import type { PatchError } from "./patch_result.ts";

/** Ends a strategic merge. It is caught within this folder. */
export class PatchFault extends AppError {
  readonly patchError: PatchError;

  constructor(patchError: PatchError) {
    super("invalid", patchError.message);
    this.patchError = patchError;
  }
}

/** Creates the error of a malformed directive, which is answered with 400. */
export function badDirective(name: "primitive list" | "retainKeys" | "setElementOrder list"): PatchFault {
  return new PatchFault({ kind: "badRequest", message: `invalid patch format of ${name}` });
}

/** Creates the error of a list of lists, which cannot be merged and is answered with 422. */
export function listOfLists(): PatchFault {
  return new PatchFault({ kind: "unprocessable", message: "lists of lists are not supported" });
}

/** Creates an error that has no type upstream and is answered with 500. */
export function otherFault(message: string): PatchFault {
  return new PatchFault({ kind: "internal", message });
}

/** Creates the error of a list element that lacks the merge key. */
export function noMergeKey(element: unknown, mergeKey: string): PatchFault {
  return otherFault(`map: ${printGoValue(element)} does not contain declared merge key: ${mergeKey}`);
}

/** Creates the error of a value whose type does not fit the directive. */
export function badType(expected: "list" | "map", value: unknown): PatchFault {
  return otherFault(`expected a ${getGoType(expected === "list" ? [] : {})}, but received a ${getGoType(value)}`);
}

/** Creates the error of an unknown `$patch` directive. */
export function badPatchType(directive: unknown, map: unknown): PatchFault {
  return otherFault(`unknown patch type: ${printAsText(directive)} in map: ${printGoValue(map)}`);
}

/** Prints a value as `fmt.Sprintf("%s")` does, which marks values that are not text. */
function printAsText(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return `[${value.map(printAsText).join(" ")}]`;
  if (isJsonObject(value)) {
    return `map[${Object.keys(value).sort().map((key) => `${key}:${printAsText(value[key])}`).join(" ")}]`;
  }
  const type = getGoType(value);
  return value === null ? type : `%!s(${type}=${printGoValue(value)})`;
}
