/** Duplicate owner references are stored once (`staging/src/k8s.io/apiserver/pkg/endpoints/handlers/rest.go`). */
import type { KubeObject, OwnerReference } from "./meta.ts";

/** An object without duplicate owner references, and the uids of the removed ones. */
export interface DistinctOwners<T extends KubeObject> {
  readonly object: T;
  /** The uids of the removed references, in order. */
  readonly duplicates: readonly string[];
}

/** Removes the owner references that repeat an earlier one in every field. */
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

/** Formats the warning for the client. A patch is only checked after mutating admission, and its warning says so. */
export function duplicateOwnersWarning(duplicates: readonly string[], afterAdmission: boolean): string {
  const when = afterAdmission ? " after mutating admission happens" : "";
  return `.metadata.ownerReferences contains duplicate entries${when}; API server dedups owner references in 1.20+, ` +
    "and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: " +
    duplicates.join(", ");
}

function formatIdentity({ apiVersion, kind, name, uid, controller, blockOwnerDeletion }: OwnerReference): string {
  return JSON.stringify([uid, apiVersion, kind, name, controller ?? null, blockOwnerDeletion ?? null]);
}
