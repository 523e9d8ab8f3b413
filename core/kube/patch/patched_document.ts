/**
 * What a JSON or merge patch makes of a document. evanphx/json-patch reads only the objects that a patch goes through,
 * and writes those with their members sorted; all others it passes on as text.
 */
import { compareBytes } from "../../lib/byte_order.ts";
import { isJsonObject } from "../json_value.ts";

/** A patched document. */
export interface PatchedDocument {
  readonly value: unknown;
  /** The objects in it that the patch has read. */
  readonly sorted: ReadonlySet<object>;
}

/** The document with its members in the order in which Go writes it. */
export function inGoOrder({ value, sorted }: PatchedDocument): unknown {
  if (Array.isArray(value)) return value.map((item) => inGoOrder({ value: item, sorted }));
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value);
  if (sorted.has(value)) entries.sort(([a], [b]) => compareBytes(a, b));
  return Object.fromEntries(entries.map(([key, member]) => [key, inGoOrder({ value: member, sorted })]));
}

/** Adds every object within a value. */
export function addObjects(value: unknown, objects: Set<object>): void {
  if (Array.isArray(value)) { for (const item of value) addObjects(item, objects); }
  if (!isJsonObject(value)) return;
  objects.add(value);
  for (const member of Object.values(value)) addObjects(member, objects);
}
