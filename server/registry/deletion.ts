/** The rules of deletion, and how resources deviate from them (`registry/generic/registry/store.go`, strategies). */
import { type DeleteOptions, formatTime, type KubeObject } from "../../core/kube/meta.ts";
import { withMeta } from "./write.ts";
import type { DeletionRules } from "./resource.ts";
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from "../../core/kube/garbage_collection.ts";

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
  const kept = old.filter((finalizer) => finalizer !== ORPHAN_FINALIZER && finalizer !== FOREGROUND_FINALIZER);
  const wanted = rules.withoutPolicy === true ? undefined : collectorFinalizer(options, old);
  const next = wanted === undefined ? kept : [...kept, wanted];
  const before = new Set(old);
  return next.length === old.length && next.every((finalizer) => before.has(finalizer)) ? old : next;
}

function collectorFinalizer({ orphanDependents, propagationPolicy }: DeleteOptions, old: readonly string[]) {
  if (orphanDependents !== undefined) return orphanDependents ? ORPHAN_FINALIZER : undefined;
  switch (propagationPolicy) {
    case "Orphan":
      return ORPHAN_FINALIZER;
    case "Foreground":
      return FOREGROUND_FINALIZER;
    case "Background":
      return undefined;
    default:
      return old.find((finalizer) => finalizer === ORPHAN_FINALIZER || finalizer === FOREGROUND_FINALIZER);
  }
}

/** Returns the marked state of an object that finalizers keep; the object itself when it is already marked. */
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
