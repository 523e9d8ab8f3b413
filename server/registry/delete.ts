/**
 * Deletes one object or a selection. An object without finalizers is removed, and any other is marked
 * (`registry/generic/registry/store.go`, `rest/delete.go`).
 */
import { isAppError } from "../../core/errors.ts";
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from "../../core/kube/garbage_collection.ts";
import { type DeleteOptions, formatTime, getName, type KubeObject } from "../../core/kube/meta.ts";
import { conflict, notFound } from "../../core/kube/status/status.ts";
import { RevisionConflictError, type Stored } from "../storage/storage.ts";
import { UNSAFE_DELETE } from "../../core/kube/rules/options.ts";
import { type ListAnswer, listObjects, type ListQuery } from "./read.ts";
import {
  assertAdmitted,
  invalidStoredObject,
  parseRequestedKey,
  type RegistryDeps,
  type Target,
  toAdmissionRequest,
} from "./registry.ts";
import type { DeletionRules } from "./resource.ts";
import { commitWrite, getInternalKind, withMeta } from "./write.ts";

export type Deleted =
  /** The object is gone; `previous` is its last state with the resourceVersion of the deletion. */
  | { readonly kind: "deleted"; readonly previous: KubeObject }
  /** The object is marked, and a finalizer still keeps it. */
  | { readonly kind: "marked"; readonly object: KubeObject };

/** Deletes one object. Throws StatusError 403, 404, 409. */
export async function deleteObject(
  deps: RegistryDeps,
  target: Target,
  options: DeleteOptions,
): Promise<Deleted> {
  const key = parseRequestedKey(target);
  const dryRun = (options.dryRun ?? []).length > 0;
  while (true) {
    const found = await deps.storage.get(key);
    if (found === undefined) throw notFound(target.resource.kind, target.name);
    if (options[UNSAFE_DELETE] === true) {
      // Unsafe deletion is only for objects that cannot be decoded, but this one was.
      const why = "unsafe deletion is not allowed because the object is decodable from storage";
      throw conflict(target.resource.kind, target.name, invalidStoredObject(target, why));
    }
    // Each access to an uncached object parses it again, so it is read once here.
    const stored: FoundObject = { revision: found.revision, object: found.object };
    const plan = planDeletion(deps, target, stored, options);
    if (plan.kind === "waiting") return { kind: "marked", object: stored.object };
    await assertAdmitted(deps, { ...toAdmissionRequest(target, "DELETE"), oldObject: stored.object });
    try {
      if (plan.kind === "remove") {
        if (dryRun) return { kind: "deleted", previous: stored.object };
        const write = { kind: "delete", key, expectedRevision: stored.revision } as const;
        const { previous, revision } = await commitWrite(deps, target, write, { stored: stored.object });
        return { kind: "deleted", previous: withMeta(previous!.object, { resourceVersion: String(revision) }) };
      }
      if (dryRun || plan.object === stored.object) return { kind: "marked", object: plan.object };
      const write = { kind: "update", key, object: plan.object, expectedRevision: stored.revision } as const;
      const { current } = await commitWrite(deps, target, write, { stored: stored.object });
      return { kind: "marked", object: current!.object };
    } catch (error) {
      if (!(error instanceof RevisionConflictError)) throw error;
    }
  }
}

type FoundObject = Pick<Stored, "revision" | "object">;

type DeletionPlan =
  | { readonly kind: "remove" }
  | { readonly kind: "mark"; readonly object: KubeObject }
  /** The object is already waiting, so admission is skipped, and nothing is written. */
  | { readonly kind: "waiting" };

/** Plans the deletion of an object. Throws StatusError 409 when the preconditions do not hold. */
function planDeletion(deps: RegistryDeps, target: Target, stored: FoundObject, options: DeleteOptions): DeletionPlan {
  const rules = target.resource.deletion ?? {};
  const now = deps.clock.now();
  const beginning = rules.begin?.(stored.object, { options, now }) ?? { kind: "usual" };
  if (beginning.kind !== "usual") return beginning;
  assertPreconditions(target, stored, options);
  const finalizers = planFinalizersAfterDeletion(stored.object, options, rules);
  if (finalizers.length === 0) return { kind: "remove" };
  return { kind: "mark", object: markForDeletion(stored.object, finalizers, now) };
}

export type DeletedCollection = Omit<ListAnswer, "items"> & { readonly objects: readonly KubeObject[] };

/** Deletes the objects that a list selects; returns the listed states in list order. */
export async function deleteCollection(
  deps: RegistryDeps,
  target: Target,
  query: ListQuery,
  options: DeleteOptions,
  signal: () => AbortSignal,
): Promise<DeletedCollection> {
  const list = await listObjects(deps, target, query, signal);
  const objects: KubeObject[] = [];
  for (const { object } of list.items) {
    objects.push(object);
    try {
      await deleteObject(deps, { ...target, name: getName(object) }, options);
    } catch (error) {
      if (!isAppError(error, "not_found")) throw error;
    }
  }
  const { revision, continueToken, remainingItemCount } = list;
  return { objects, revision, continueToken, remainingItemCount };
}

function assertPreconditions(target: Target, stored: FoundObject, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  const record = stored.object.metadata;
  // kube-apiserver's message has the kind in the place of the name.
  const { group, kind } = getInternalKind(target.resource);
  const subject = { group, plural: kind };
  if (uid !== undefined && uid !== record.uid) {
    throw conflict(
      subject,
      target.name,
      `the UID in the precondition (${uid}) does not match the UID in record (${record.uid}). ` +
        "The object might have been deleted and then recreated",
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== record.resourceVersion) {
    throw conflict(
      subject,
      target.name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record ` +
        `(${record.resourceVersion}). The object might have been modified`,
    );
  }
}

/**
 * Plans the finalizers after a deletion. Those of the garbage collector follow the options, or stay unchanged without
 * any. An object without finalizers is removed at once.
 */
export function planFinalizersAfterDeletion(
  object: KubeObject,
  options: DeleteOptions,
  rules: DeletionRules,
): readonly string[] {
  const old = object.metadata.finalizers ?? [];
  const kept = old.filter((finalizer) => finalizer !== ORPHAN_FINALIZER && finalizer !== FOREGROUND_FINALIZER);
  const wanted = rules.withoutPolicy === true ? undefined : chooseCollectorFinalizer(options, old);
  const next = wanted === undefined ? kept : [...kept, wanted];
  const before = new Set(old);
  return next.length === old.length && next.every((finalizer) => before.has(finalizer)) ? old : next;
}

function chooseCollectorFinalizer({ orphanDependents, propagationPolicy }: DeleteOptions, old: readonly string[]) {
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

/** Marks an object that finalizers keep. Returns the object itself when it is already marked. */
export function markForDeletion(object: KubeObject, finalizers: readonly string[], now: Date): KubeObject {
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
