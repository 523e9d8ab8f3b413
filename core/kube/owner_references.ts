/** Owner references that stand twice are stored once (`apiserver/pkg/endpoints/handlers/rest.go`). */
import type { KubeObject, OwnerReference } from "./meta.ts";

/** An object with each owner once, and the uids of those that stood twice. */
export interface DistinctOwners<T extends KubeObject> {
  readonly object: T;
  /** The uids of what was left out, in order; empty when nothing was. */
  readonly duplicates: readonly string[];
}

/** Leaves out the owner references that repeat an earlier one in every field. */
export function withDistinctOwners<T extends KubeObject>(object: T): DistinctOwners<T> {
  const references = object.metadata.ownerReferences ?? [];
  if (references.length < 2) return { object, duplicates: [] };
  const kept: OwnerReference[] = [];
  const duplicates: string[] = [];
  const seen = new Set<string>();
  for (const reference of references) {
    const identity = formatIdentity(reference);
    if (seen.has(identity)) duplicates.push(reference.uid);
    else kept.push(reference);
    seen.add(identity);
  }
  if (duplicates.length === 0) return { object, duplicates };
  return { object: { ...object, metadata: { ...object.metadata, ownerReferences: kept } }, duplicates };
}

/** What the client is told; a patch is looked at after mutating admission only, and says so. */
export function duplicateOwnersWarning(duplicates: readonly string[], afterAdmission: boolean): string {
  const when = afterAdmission ? " after mutating admission happens" : "";
  return `.metadata.ownerReferences contains duplicate entries${when}; API server dedups owner references in 1.20+, ` +
    "and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: " +
    duplicates.join(", ");
}

function formatIdentity({ apiVersion, kind, name, uid, controller, blockOwnerDeletion }: OwnerReference): string {
  return JSON.stringify([uid, apiVersion, kind, name, controller ?? null, blockOwnerDeletion ?? null]);
}
