/**
 * What becomes of an object because of its owners and its dependents: the rules of upstream's garbage collector
 * (`pkg/controller/garbagecollector/garbagecollector.go`, `attemptToDeleteItem` and `attemptToOrphanWorker`).
 */
import type { ObjectMeta, OwnerReference } from "../kube/meta.ts";

/** Set by a deletion with the policy Orphan: dependents lose their reference before the object goes. */
export const ORPHAN_FINALIZER = "orphan";
/** Set by a deletion with the policy Foreground: dependents that block go before the object does. */
export const FOREGROUND_FINALIZER = "foregroundDeletion";

/** What is known of an owner that an object names. */
export type OwnerState =
  /** It is there. */
  | "solid"
  /** It is there and waits for its dependents to go. */
  | "waiting"
  /** There is no object of that kind, namespace, name and uid. */
  | "absent"
  /** Nobody can tell: its kind is not served here, or it is namespaced and the dependent is not. */
  | "unknown";

/** An object that names another one as its owner. */
export interface Dependent {
  /** Where it is. */
  readonly key: string;
  /** `blockOwnerDeletion` of its reference. */
  readonly isBlocking: boolean;
  /** It waits for its own dependents to go. */
  readonly isWaiting: boolean;
}

/** What to do about an object. */
export type CollectionPlan =
  | { readonly kind: "none" }
  /** Its owners are gone, or want it to go. `unblock`: its references stop blocking first, since they may form a circle. */
  | {
    readonly kind: "delete";
    readonly policy: "Background" | "Foreground" | "Orphan";
    readonly unblock: boolean;
  }
  /** Some of its owners remain: it loses the references to the others. */
  | { readonly kind: "dropOwners"; readonly uids: ReadonlySet<string> }
  /** Its dependents lose their reference to it. */
  | { readonly kind: "orphan"; readonly dependents: readonly Dependent[] }
  /** It waits for these dependents, which are to be looked at. */
  | { readonly kind: "await"; readonly dependents: readonly Dependent[] }
  /** It has waited for all of them. */
  | { readonly kind: "release"; readonly finalizer: string };

const NONE: CollectionPlan = { kind: "none" };

/** True for an object that waits for its dependents to go. */
export function isWaitingForDependents({ deletionTimestamp, finalizers = [] }: ObjectMeta): boolean {
  return deletionTimestamp !== undefined && finalizers.includes(FOREGROUND_FINALIZER);
}

/** True for an object that waits for its dependents to be orphaned. */
export function isWaitingForOrphans({ deletionTimestamp, finalizers = [] }: ObjectMeta): boolean {
  return deletionTimestamp !== undefined && finalizers.includes(ORPHAN_FINALIZER);
}

/** Decides about one object. `stateOf` tells what is known of each owner that it names. */
export function planCollection(
  metadata: ObjectMeta,
  stateOf: (owner: OwnerReference) => OwnerState,
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
  return planByOwners(metadata, stateOf, dependents);
}

function planByOwners(
  { ownerReferences = [], finalizers = [] }: ObjectMeta,
  stateOf: (owner: OwnerReference) => OwnerState,
  dependents: readonly Dependent[],
): CollectionPlan {
  if (ownerReferences.length === 0) return NONE;
  const owners = ownerReferences.map((owner) => ({ uid: owner.uid, state: stateOf(owner) }));
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
