/**
 * What an applier no longer names goes away, unless somebody else owns it (structured-merge-diff `merge/update.go`,
 * `prune`).
 */
import type { Atom } from "./atom.ts";
import { type FieldSet, intersect, subtract, unite, uniteAll } from "./field_set.ts";
import { collectLeaves } from "./leaves.ts";
import type { Managers } from "./managers.ts";
import { removeFields, withNamedFields } from "./remove.ts";

/**
 * Takes out of a merged object what its applier owned by `last` and nobody owns now.
 *
 * @param managers all managers of this API version, with the applier's new set
 */
export function pruneFields(
  merged: unknown,
  atom: Atom,
  last: FieldSet,
  managers: Managers,
  apiVersion: string,
): unknown {
  if (last.size === 0) return merged;
  const before = withNamedFields(collectLeaves(merged, atom), atom);
  const lastNamed = withNamedFields(last, atom);
  const bare = removeFields(merged, atom, lastNamed);
  const owners = [...managers.values()].filter((entry) => entry.apiVersion === apiVersion);
  const owned = uniteAll(owners.map(({ set }) => set));
  // What somebody owns comes back, …
  const kept = unite(withNamedFields(collectLeaves(bare, atom), atom), withNamedFields(owned, atom));
  const restored = removeFields(merged, atom, subtract(before, kept));
  // … and so does what went along although the applier never owned it.
  const gone = subtract(before, withNamedFields(collectLeaves(restored, atom), atom));
  return removeFields(merged, atom, intersect(gone, lastNamed));
}
