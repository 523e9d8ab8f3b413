/** How a resource is deleted, where it is not the usual way (`registry/generic/registry/store.go`, strategies). */
import { type DeleteOptions, formatTime, type KubeObject } from "../../core/kube/meta.ts";
import { withMeta } from "./write.ts";

/** What a resource says of its deletion. */
export interface DeletionRules<T extends KubeObject = KubeObject> {
  /** The answer is the object that went (`ReturnDeletedObject`), not a Status. */
  readonly answersObject?: true;
  /** The garbage collector has nothing to do with it: policies are ignored (`rest.Unsupported`). */
  readonly withoutPolicy?: true;
  /** Objects that the store cannot read cannot be deleted: in kube-apiserver these are not plain stores. */
  readonly withoutUnsafe?: true;
  /** What happens before the usual deletion. */
  begin?(object: T, request: DeletionRequest): Beginning<T>;
}

/** What is asked, and when. */
export interface DeletionRequest {
  readonly options: DeleteOptions;
  readonly now: Date;
}

/** How a deletion of a resource's own kind begins. */
export type Beginning<T extends KubeObject = KubeObject> =
  /** This state is stored, and the object waits. */
  | { readonly kind: "mark"; readonly object: T }
  /** It waits already: nothing is asked and nothing is written. */
  | { readonly kind: "waiting" }
  /** The usual deletion goes on. */
  | { readonly kind: "usual" };

const ORPHAN = "orphan";
const FOREGROUND = "foregroundDeletion";

/**
 * The finalizers that a deletion leaves: those of the garbage collector as the options say, or as they stand. An object
 * without any goes at once.
 */
export function finalizersAfterDeletion(
  object: KubeObject,
  options: DeleteOptions,
  rules: DeletionRules,
): readonly string[] {
  const old = object.metadata.finalizers ?? [];
  const kept = old.filter((finalizer) => finalizer !== ORPHAN && finalizer !== FOREGROUND);
  const wanted = rules.withoutPolicy === true ? undefined : collectorFinalizer(options, old);
  const next = wanted === undefined ? kept : [...kept, wanted];
  const before = new Set(old);
  return next.length === old.length && next.every((finalizer) => before.has(finalizer)) ? old : next;
}

function collectorFinalizer({ orphanDependents, propagationPolicy }: DeleteOptions, old: readonly string[]) {
  if (orphanDependents !== undefined) return orphanDependents ? ORPHAN : undefined;
  switch (propagationPolicy) {
    case "Orphan":
      return ORPHAN;
    case "Foreground":
      return FOREGROUND;
    case "Background":
      return undefined;
    default:
      return old.find((finalizer) => finalizer === ORPHAN || finalizer === FOREGROUND);
  }
}

/** The state of an object that finalizers hold; the object itself when that is how it stands already. */
export function markedForDeletion(object: KubeObject, finalizers: readonly string[], now: Date): KubeObject {
  const { metadata } = object;
  const isMarked = metadata.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds === 0;
  if (isMarked && finalizers === metadata.finalizers) return object;
  const isFirst = metadata.deletionTimestamp === undefined;
  return withMeta(object, {
    deletionTimestamp: metadata.deletionTimestamp ?? formatTime(now),
    deletionGracePeriodSeconds: 0,
    finalizers,
    ...(isFirst && metadata.generation !== undefined ? { generation: metadata.generation + 1 } : {}),
  });
}
