/**
 * The types of patches, and the result of a patch: a document, or an error that `core/kube/status/status.ts` converts to an
 * answer. evanphx/json-patch reads only the objects that a JSON or merge patch touches, and sorts their members when it
 * writes them. It copies all other objects as text.
 */
import { compareBytes } from "../../lib/go_text.ts";
import { isJsonObject } from "../json_value.ts";

/** The types of patches (apimachinery `pkg/types/patch.go`); `apply` is server-side apply. */
export type PatchType = "json" | "merge" | "strategic" | "apply";

/** The types of patches by media type, in the order in which kube-apiserver lists them. */
export const PATCH_MEDIA_TYPES: Readonly<Record<string, PatchType>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};

/**
 * The reason why a patch cannot be applied.
 * - `badRequest`: the patch itself is wrong (400);
 * - `unprocessable`: it does not fit the object (422, the client sees no detail);
 * - `tooLarge`: too many operations (413);
 * - `internal`: an error that upstream answers with 500.
 */
export interface PatchError {
  readonly kind: "badRequest" | "unprocessable" | "tooLarge" | "internal";
  readonly message: string;
}

/** Creates the error of a patch that is wrong in itself. */
export function badPatch(message: string): PatchError {
  return { kind: "badRequest", message };
}

/** Creates the error of a patch that does not fit the object. */
export function unfitPatch(message: string): PatchError {
  return { kind: "unprocessable", message };
}

/** A document after a JSON or merge patch. */
export interface PatchedDocument {
  readonly value: unknown;
  /** The objects in the document that the patch has read. */
  readonly sorted: ReadonlySet<object>;
}

/** Returns the document with its members in the order in which Go writes them. */
export function sortInGoOrder({ value, sorted }: PatchedDocument): unknown {
  if (Array.isArray(value)) return value.map((item) => sortInGoOrder({ value: item, sorted }));
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value);
  if (sorted.has(value)) entries.sort(([a], [b]) => compareBytes(a, b));
  return Object.fromEntries(entries.map(([key, member]) => [key, sortInGoOrder({ value: member, sorted })]));
}

/** Adds every object within a value to a set. */
export function addObjects(value: unknown, objects: Set<object>): void {
  if (Array.isArray(value)) { for (const item of value) addObjects(item, objects); }
  if (!isJsonObject(value)) return;
  objects.add(value);
  for (const member of Object.values(value)) addObjects(member, objects);
}
