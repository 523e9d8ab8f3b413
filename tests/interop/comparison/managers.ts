/**
 * Normalizes the order of `managedFields`. A server sorts entries by operation, then time in seconds, then name, so the
 * order of two writes depends on whether they are within the same second. A list in this order is sorted again without
 * times. Any other order is kept, so it shows as a difference.
 */
import { isRecord } from "../../../core/lib/record.ts";
import { parse } from "yaml";
import { formatYaml } from "../../../core/lib/yaml/format.ts";

type Key = readonly (string | number)[];

/** Sorts entries as if all had the same time. A list that is not in the server's order is returned unchanged. */
export function sortManagers(managedFields: unknown): unknown {
  if (!Array.isArray(managedFields) || !managedFields.every(isRecord)) return managedFields;
  const keys = managedFields.map(toManagerKey);
  const isSorted = keys.every((key, index) => index === 0 || compareKeys(keys[index - 1]!, key) <= 0);
  if (!isSorted) return managedFields;
  return managedFields.toSorted((a, b) => compareKeys(untimed(toManagerKey(a)), untimed(toManagerKey(b))));
}

/** Sorts the managers in an object that kubectl printed as YAML; any other text is returned unchanged. */
export function sortManagersInYaml(text: string): string {
  if (!text.includes("\n  managedFields:\n")) return text;
  const object: unknown = parse(text, { intAsBigInt: false, schema: "core" });
  if (!isRecord(object) || !isRecord(object["metadata"]) || formatYaml(object) !== text) return text;
  const { metadata } = object;
  return formatYaml({ ...object, metadata: { ...metadata, managedFields: sortManagers(metadata["managedFields"]) } });
}

/** Returns the key by which apimachinery's `managedfields` sorts. */
function toManagerKey(entry: Readonly<Record<string, unknown>>): Key {
  const text = (name: string) => String(entry[name] ?? "");
  const seconds = entry["time"] === undefined ? 0 : Math.floor(Date.parse(text("time")) / 1000);
  return [text("operation"), seconds, text("manager"), text("apiVersion"), text("subresource")];
}

function untimed([operation, _, ...names]: Key): Key {
  return [operation!, ...names];
}

function compareKeys(a: Key, b: Key): number {
  for (const [index, part] of a.entries()) {
    const other = b[index]!;
    if (part !== other) return part < other ? -1 : 1;
  }
  return 0;
}
