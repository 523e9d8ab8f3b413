/**
 * What a change takes from the other managers: whoever owned what is now other than it was, or gone, owns it no more
 * (structured-merge-diff `merge/update.go`).
 */
import { changedBy, compare, type Comparison } from "./compare.ts";
import { getApiVersion, type ManagedEndpoint } from "./endpoint.ts";
import { type FieldSet, intersect, subtract } from "./field_set.ts";
import type { Managers } from "./managers.ts";

/** What others own of what changed, by manager. */
export type Overlaps = ReadonlyMap<string, FieldSet>;

/** The effect of a change on everybody but its author. */
export interface TakeOver {
  readonly comparison: Comparison;
  /** Fields that others own and that the change sets to something else. */
  readonly overlaps: Overlaps;
  /** The managers afterwards; those who own nothing any more are gone. */
  readonly managers: Managers;
}

/** Works out the effect; undefined when the two states cannot be compared. `author` is left as it is, unless empty. */
export function takeOver(
  endpoint: ManagedEndpoint,
  before: object,
  after: object,
  managers: Managers,
  author: string | undefined,
): TakeOver | undefined {
  const comparison = compare(before, after, endpoint.atom, endpoint.ignored);
  if (comparison === undefined) return undefined;
  const version = getApiVersion(endpoint);
  const changed = changedBy(comparison);
  const overlaps = new Map<string, FieldSet>();
  const left: Managers = new Map();
  for (const [key, entry] of managers) {
    let { set } = entry;
    if (key !== author) {
      // Objects of other versions cannot be compared; for events that is so although both versions are served: core
      // and the named groups know only their own types (apiserver `server/genericapiserver.go`, `getOpenAPIModels`).
      if (entry.apiVersion !== version) continue;
      const overlap = intersect(set, changed);
      if (overlap.size > 0) overlaps.set(key, overlap);
      set = subtract(subtract(set, overlap), comparison.removed);
    }
    if (set.size > 0) left.set(key, set === entry.set ? entry : { ...entry, set });
  }
  return { comparison, overlaps, managers: left };
}
