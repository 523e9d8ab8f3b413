/** The rules of deletion, and how resources deviate from them (`registry/generic/registry/store.go`, strategies). */
import { type DeleteOptions, formatTime, type KubeObject } from "../../core/kube/meta.ts";
import { withMeta } from "./write.ts";

/** The deviations of a resource from the usual deletion. */
export interface DeletionRules<T extends KubeObject = KubeObject> {
  /** The answer is the object that went (`ReturnDeletedObject`), not a Status. */
  readonly answersObject?: true;
  /** The garbage collector does not handle it, so policies are ignored (`rest.Unsupported`). */
  readonly withoutPolicy?: true;
  /** Objects that the store cannot read cannot be deleted: in kube-apiserver these are not plain stores. */
  readonly withoutUnsafe?: true;
  /** Handles a deletion before the usual steps. */
  begin?(object: T, request: DeletionRequest): Beginning<T>;
}

/** The options and the time of a deletion. */
export interface DeletionRequest {
  readonly options: DeleteOptions;
  readonly now: Date;
}

/** The result of a resource's own first step of a deletion. */
export type Beginning<T extends KubeObject = KubeObject> =
  /** This state is stored, and the object waits for its finalizers. */
  | { readonly kind: "mark"; readonly object: T }
  /** The object waits already: admission is not asked, and nothing is written. */
  | { readonly kind: "waiting" }
  /** The usual deletion continues. */
  | { readonly kind: "usual" };

const ORPHAN = "orphan";
const FOREGROUND = "foregroundDeletion";

/**
 * Returns the finalizers after a deletion: those of the garbage collector follow the options, or stay unchanged. An object
 * without finalizers is removed at once.
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

/** Returns the marked state of an object that finalizers hold; the object itself when it is marked already. */
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
