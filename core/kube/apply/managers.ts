/** Decodes and encodes `metadata.managedFields` (apimachinery `managedfields/internal/managedfields.go`). */
import { compareBytes } from "../../lib/byte_order.ts";
import { goQuote, marshalJson } from "../../lib/quote.ts";
import type { ManagedFieldsEntry } from "../meta.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { type FieldSet, uniteAll } from "./field_set.ts";
import { formatFieldsV1, parseFieldsV1 } from "./fields_v1.ts";

/** The identity of an entry: the manager, and how it writes. */
export interface ManagerName {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** Empty for the main resource. */
  readonly subresource: string;
}

/** An entry with the fields that its manager owns. */
export interface ManagerEntry extends ManagerName {
  readonly set: FieldSet;
  /** RFC 3339 text; undefined if the entry has no time. */
  readonly time: string | undefined;
}

/** All managers of an object, by `formatManagerKey`. */
export type Managers = Map<string, ManagerEntry>;

/** Returns the key of a manager. An applier has the same key in all API versions. */
export function formatManagerKey({ manager, operation, apiVersion, subresource }: ManagerName): string {
  const identity = {
    ...(manager === "" ? {} : { manager }),
    operation,
    ...(operation === "Apply" || apiVersion === "" ? {} : { apiVersion }),
    ...(subresource === "" ? {} : { subresource }),
  };
  return marshalJson(identity);
}

/** Decodes entries. Of two entries of one manager, the later one counts. */
export function decodeManagers(entries: readonly ManagedFieldsEntry[]): Result<Managers, string> {
  const managers: Managers = new Map();
  for (const [index, entry] of entries.entries()) {
    const { manager = "", operation, apiVersion = "", fieldsType = "", subresource = "", time } = entry;
    if (operation !== "Apply" && operation !== "Update") return err("operation must be `Apply` or `Update`");
    if (apiVersion === "") return err("apiVersion must not be empty");
    if (fieldsType === "") return err(`missing fieldsType in managed fields entry ${index}`);
    if (fieldsType !== "FieldsV1") {
      return err(`invalid fieldsType ${goQuote(fieldsType)} in managed fields entry ${index}`);
    }
    const set = parseFieldsV1(entry.fieldsV1);
    if (!set.ok) return err(`error decoding versioned set: ${set.error}`);
    const read = { manager, operation, apiVersion, subresource, set: set.value, time } as const;
    managers.set(formatManagerKey(read), read);
  }
  return ok(managers);
}

/** Encodes entries in upstream's order; undefined if there are none. */
export function encodeManagers(managers: Managers): readonly ManagedFieldsEntry[] | undefined {
  if (managers.size === 0) return undefined;
  const sorted = [...managers.values()];
  if (sorted.length > 1) sorted.sort(compareEntries);
  return sorted.map(({ manager, operation, apiVersion, subresource, set, time }) => ({
    ...(manager === "" ? {} : { manager }),
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: "FieldsV1",
    fieldsV1: formatFieldsV1(set),
    ...(subresource === "" ? {} : { subresource }),
  }));
}

/** Compares entries: appliers are first, then time, name, version and subresource decide. */
function compareEntries(a: ManagerEntry, b: ManagerEntry): number {
  return compareBytes(a.operation, b.operation) || parseSeconds(a) - parseSeconds(b) ||
    compareBytes(a.manager, b.manager) || compareBytes(a.apiVersion, b.apiVersion) ||
    compareBytes(a.subresource, b.subresource);
}

function parseSeconds({ time }: ManagerEntry): number {
  return time === undefined ? 0 : Math.floor(Date.parse(time) / 1000);
}

/** The largest number of entries of updates that an object keeps. */
const MAX_UPDATE_MANAGERS = 10;

/**
 * Merges the oldest updates into one entry per version until few enough are left
 * (apimachinery `managedfields/internal/capmanagers.go`).
 */
export function capUpdateManagers(managers: Managers): void {
  const updaters = [...managers].filter(([, entry]) => entry.operation === "Update");
  if (updaters.length <= MAX_UPDATE_MANAGERS) return;
  const merged = new Map<string, FieldSet[]>();
  mergeOldest(managers, updaters, merged);
  for (const [key, sets] of merged) managers.set(key, { ...managers.get(key)!, set: uniteAll(sets) });
}

/** Collects the sets of merged entries in `merged`; uniting them one by one would take quadratic time. */
function mergeOldest(
  managers: Managers,
  updaters: [string, ManagerEntry][],
  merged: Map<string, FieldSet[]>,
): void {
  updaters.sort(([aKey, a], [bKey, b]) => parseSeconds(a) - parseSeconds(b) || compareBytes(aKey, bKey));
  const firstByVersion = new Map<string, string>();
  let count = updaters.length;
  for (const [key, entry] of updaters) {
    if (count <= MAX_UPDATE_MANAGERS) return;
    const { apiVersion } = entry;
    const first = firstByVersion.get(apiVersion);
    if (first === undefined) {
      firstByVersion.set(apiVersion, key);
      continue;
    }
    const bucketName = { manager: "ancient-changes", operation: "Update", apiVersion, subresource: "" } as const;
    const bucketKey = formatManagerKey(bucketName);
    if (!managers.has(bucketKey)) {
      managers.set(bucketKey, { ...managers.get(first)!, ...bucketName });
      managers.delete(first);
    }
    const bucket = managers.get(bucketKey)!;
    if (!merged.has(bucketKey)) merged.set(bucketKey, [bucket.set]);
    merged.get(bucketKey)!.push(entry.set);
    managers.set(bucketKey, { ...bucketName, set: bucket.set, time: entry.time });
    // In this way upstream loses a bucket that is not the oldest; its behavior is reproduced here.
    managers.delete(key);
    merged.delete(key);
    count--;
  }
}
