/**
 * The effect of a change on the other managers: a manager no longer owns the fields that another one has changed or
 * removed (structured-merge-diff `merge/update.go`).
 */
import { compareFields, type Comparison, getChangedFields } from "./compare.ts";
import { getApiVersion, type ManagedEndpoint } from "./endpoint.ts";
import { type FieldSet, intersect, subtract } from "./field_set.ts";
import type { Managers } from "./managers.ts";

/** The changed fields that other managers own, by manager. */
export type Overlaps = ReadonlyMap<string, FieldSet>;

/** The effect of a change on all managers but its author. */
export interface TakeOver {
  readonly comparison: Comparison;
  /** Fields that others own and whose value the change replaces. */
  readonly overlaps: Overlaps;
  /** The managers afterwards, without those that no longer own anything. */
  readonly managers: Managers;
}

/** Computes the effect; undefined if the two states cannot be compared. The set of `author` stays, unless it is empty. */
export function takeOver(
  endpoint: ManagedEndpoint,
  before: object,
  after: object,
  managers: Managers,
  author: string | undefined,
): TakeOver | undefined {
  const comparison = compareFields(before, after, endpoint.atom, endpoint.ignored);
  if (comparison === undefined) return undefined;
  const version = getApiVersion(endpoint);
  const changed = getChangedFields(comparison);
  const overlaps = new Map<string, FieldSet>();
  const left: Managers = new Map();
  for (const [key, entry] of managers) {
    let { set } = entry;
    if (key !== author) {
      // Objects of other versions cannot be compared. That holds for events too, although both versions are served: core
      // and the named groups only know their own types (apiserver `server/genericapiserver.go`, `getOpenAPIModels`).
      if (entry.apiVersion !== version) continue;
      const overlap = intersect(set, changed);
      if (overlap.size > 0) overlaps.set(key, overlap);
      set = subtract(subtract(set, overlap), comparison.removed);
    }
    if (set.size > 0) left.set(key, set === entry.set ? entry : { ...entry, set });
  }
  return { comparison, overlaps, managers: left };
}
