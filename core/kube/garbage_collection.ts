/**
 * Plans the action of the garbage collector on an object, by its owners and dependents
 * (`pkg/controller/garbagecollector/garbagecollector.go`, `attemptToDeleteItem` and `attemptToOrphanWorker`).
 */
import type { ObjectMeta, OwnerReference } from "./meta.ts";

/** Set by a deletion with the policy Orphan: dependents lose their reference before the object is deleted. */
export const ORPHAN_FINALIZER = "orphan";
/** Set by a deletion with the policy Foreground: blocking dependents are deleted before the object. */
export const FOREGROUND_FINALIZER = "foregroundDeletion";

/** The state of an owner that an object references. */
export type OwnerState =
  /** The owner exists and is not waiting. */
  | "solid"
  /** The owner exists and waits for the deletion of its dependents. */
  | "waiting"
  /** There is no object of that kind, namespace, name and uid. */
  | "absent"
  /** Unknown, because its kind is not served here, or it is namespaced and the dependent is not. */
  | "unknown";

/** An object that references another one as its owner. */
export interface Dependent {
  readonly key: string;
  /** The field `blockOwnerDeletion` of its reference. */
  readonly isBlocking: boolean;
  /** Whether the dependent waits for the deletion of its own dependents. */
  readonly isWaiting: boolean;
}

/** The action of the garbage collector on an object. */
export type CollectionPlan =
  | { readonly kind: "none" }
  /**
   * Delete the object, because its owners are gone or wait for its deletion. `unblock` removes the blocking references
   * first, to break cycles.
   */
  | {
    readonly kind: "delete";
    readonly policy: "Background" | "Foreground" | "Orphan";
    readonly unblock: boolean;
  }
  /** Remove the references to some owners, because others remain. */
  | { readonly kind: "dropOwners"; readonly uids: ReadonlySet<string> }
  /** Remove the references to the object from its dependents. */
  | { readonly kind: "orphan"; readonly dependents: readonly Dependent[] }
  /** Wait for these dependents, which are processed next. */
  | { readonly kind: "await"; readonly dependents: readonly Dependent[] }
  /** Remove the finalizer, because no dependent remains. */
  | { readonly kind: "release"; readonly finalizer: string };

const NONE: CollectionPlan = { kind: "none" };

export function isWaitingForDependents({ deletionTimestamp, finalizers = [] }: ObjectMeta): boolean {
  return deletionTimestamp !== undefined && finalizers.includes(FOREGROUND_FINALIZER);
}

/** Reports whether an object waits until its dependents are orphaned. */
export function isWaitingForOrphans({ deletionTimestamp, finalizers = [] }: ObjectMeta): boolean {
  return deletionTimestamp !== undefined && finalizers.includes(ORPHAN_FINALIZER);
}

/** Plans one object. `getState` returns the state of each referenced owner. */
export function planCollection(
  metadata: ObjectMeta,
  getState: (owner: OwnerReference) => OwnerState,
  dependents: readonly Dependent[],
): CollectionPlan {
  if (isWaitingForOrphans(metadata)) {
    return dependents.length === 0 ? { kind: "release", finalizer: ORPHAN_FINALIZER } : { kind: "orphan", dependents };
  }
  if (isWaitingForDependents(metadata)) {
    const blocking = dependents.filter(({ isBlocking }) => isBlocking);
    if (blocking.length === 0) return { kind: "release", finalizer: FOREGROUND_FINALIZER };
    return { kind: "await", dependents: blocking.filter(({ isWaiting }) => !isWaiting) };
  }
  if (metadata.deletionTimestamp !== undefined) return NONE;
  return planByOwners(metadata, getState, dependents);
}

function planByOwners(
  { ownerReferences = [], finalizers = [] }: ObjectMeta,
  getState: (owner: OwnerReference) => OwnerState,
  dependents: readonly Dependent[],
): CollectionPlan {
  if (ownerReferences.length === 0) return NONE;
  const owners = ownerReferences.map((owner) => ({ uid: owner.uid, state: getState(owner) }));
  if (owners.some(({ state }) => state === "unknown")) return NONE;
  if (owners.some(({ state }) => state === "solid")) {
    const uids = new Set(owners.filter(({ state }) => state !== "solid").map(({ uid }) => uid));
    return uids.size === 0 ? NONE : { kind: "dropOwners", uids };
  }
  if (owners.some(({ state }) => state === "waiting") && dependents.length > 0) {
    return { kind: "delete", policy: "Foreground", unblock: dependents.some(({ isWaiting }) => isWaiting) };
  }
  if (finalizers.includes(ORPHAN_FINALIZER)) return { kind: "delete", policy: "Orphan", unblock: false };
  const policy = finalizers.includes(FOREGROUND_FINALIZER) ? "Foreground" : "Background";
  return { kind: "delete", policy, unblock: false };
}
