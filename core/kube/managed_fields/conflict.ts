/** What an apply says of fields that others own (apimachinery `managedfields/internal/conflict.go`). */
import { compareBytes } from "../codec/_order.ts";
import { goQuote } from "../codec/go_quote.ts";
import type { StatusCause } from "../meta.ts";
import type { FieldSet } from "./field_set.ts";
import type { ManagerEntry, Managers } from "./managers.ts";
import { compareElements, printElement } from "./path_element.ts";
import type { Overlaps } from "./take_over.ts";

/** A conflict in words. */
export interface ConflictReport {
  readonly message: string;
  readonly causes: readonly StatusCause[];
}

/** One field that somebody else owns. */
interface Conflict {
  readonly owner: string;
  readonly field: string;
}

/** Reports every field of every owner; owners by their keys, fields in the order of their set. */
export function reportConflicts(overlaps: Overlaps, managers: Managers): ConflictReport {
  const owners = [...overlaps.keys()].sort(compareBytes);
  const conflicts = owners.flatMap((key): readonly Conflict[] => {
    const owner = printOwner(managers.get(key)!);
    return printPaths(overlaps.get(key)!).map((field) => ({ owner, field }));
  });
  return {
    message: formatConflicts(conflicts),
    causes: conflicts.map(({ owner, field }) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${owner}`,
      field,
    })),
  };
}

function formatConflicts(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined) {
    return `Apply failed with 1 conflict: conflict with ${first.owner}: ${first.field}`;
  }
  const lines: string[] = [];
  let owner = "";
  for (const conflict of conflicts) {
    if (conflict.owner !== owner) lines.push(`conflicts with ${conflict.owner}:`);
    owner = conflict.owner;
    lines.push(`- ${conflict.field}`);
  }
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`;
}

function printOwner({ manager, operation, apiVersion, subresource }: ManagerEntry): string {
  const through = subresource === "" ? "" : ` with subresource ${goQuote(subresource)}`;
  return `${goQuote(manager)}${through}${operation === "Update" ? ` using ${apiVersion}` : ""}`;
}

/** Members of one level first, then what lies below, as upstream walks a set. */
function printPaths(set: FieldSet, prefix = ""): string[] {
  const sorted = [...set].sort(([a], [b]) => compareElements(a, b));
  return [
    ...sorted.filter(([, { isMember }]) => isMember).map(([element]) => prefix + printElement(element)),
    ...sorted.flatMap(([element, { children }]) => printPaths(children, prefix + printElement(element))),
  ];
}
