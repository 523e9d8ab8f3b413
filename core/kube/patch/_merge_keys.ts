/** What the schema says about merging a field (`patchStrategy`, `patchMergeKey`). */
import { quoteText } from "../quote.ts";
import type { FieldSchema, FieldType } from "../schema.ts";
import { otherFault } from "./_fault.ts";

/** How a field merges, and what type its value (or its elements) has. */
export interface MergeMeta {
  /** `merge`, `replace` or empty. */
  readonly strategy: string;
  readonly mergeKey: string;
  readonly type: FieldType;
}

/** How a field that holds an object merges. Throws PatchFault when the schema does not know it. */
export function findObjectMeta(parent: FieldType, key: string): MergeMeta {
  const field = findField(parent, key);
  return { strategy: getStrategy(field), mergeKey: field.patchMergeKey ?? "", type: field.type };
}

/** How a field that holds a list merges; `type` is that of the elements. Throws PatchFault. */
export function findListMeta(parent: FieldType, key: string): MergeMeta {
  const meta = findObjectMeta(parent, key);
  if (meta.type.kind !== "list") throw otherFault("expected slice or array type, but got: struct");
  if (meta.type.of.kind === "list") throw otherFault("unexpected slice of slice");
  return { ...meta, type: meta.type.of };
}

function findField(parent: FieldType, key: string): FieldSchema {
  if (parent.kind !== "message") {
    const kind = parent.kind === "list" ? "slice" : parent.kind;
    throw otherFault(`merging an object in json but data type is not struct, instead is: ${kind}`);
  }
  const { name, fields } = parent.message();
  const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
  if (field !== undefined) return field;
  const struct = name.slice(name.lastIndexOf(".") + 1);
  throw otherFault(`unable to find api field in struct ${struct} for the json field ${quoteText(key)}`);
}

/** `retainKeys` only matters to whoever makes a patch. */
function getStrategy(field: FieldSchema): string {
  return (field.patchStrategy ?? "").split(",").find((item) => item !== "retainKeys") ?? "";
}
