/** Deletion of one object or of a selection (`registry/generic/registry/store.go`, `rest/delete.go`). */
import type { DeleteOptions, KubeObject } from "../../core/kube/meta.ts";
import { formatTime, nameOf } from "../../core/kube/meta.ts";
import { conflict, forbidden, notFound } from "../../core/kube/status.ts";
import { RevisionConflictError, type Stored } from "../storage/storage.ts";
import { keyOf } from "./keys.ts";
import { listObjects, type ListQuery } from "./read.ts";
import type { RegistryDeps, Target } from "./registry.ts";
import { withMeta } from "./write.ts";

/** What a deletion answers. */
export type Deleted =
  /** Gone; `previous` is the last state. */
  | { readonly kind: "deleted"; readonly previous: KubeObject }
  /** Marked; somebody's finalizer holds it. */
  | { readonly kind: "marked"; readonly object: KubeObject };

/** Deletes one object. Throws StatusError 403, 404, 409. */
export async function deleteObject(
  deps: RegistryDeps,
  target: Target,
  options: DeleteOptions,
): Promise<Deleted> {
  const key = keyOf(target.resource, target.namespace, target.name);
  const dryRun = (options.dryRun ?? []).length > 0;
  while (true) {
    const stored = await deps.storage.get(key);
    if (stored === undefined) throw notFound(target.resource.kind, target.name);
    assertPreconditions(target, stored, options);
    const refusal = await deps.admission.validate({
      operation: "DELETE",
      kind: target.resource.kind,
      subresource: "",
      name: target.name,
      namespace: target.namespace,
      user: target.user,
      oldObject: stored.object,
    });
    if (refusal !== undefined) throw forbidden(target.resource.kind, target.name, refusal.message);
    const held = heldState(target, stored.object, deps.clock.now());
    try {
      if (held === undefined) {
        if (dryRun) return { kind: "deleted", previous: stored.object };
        const { previous } = await deps.storage.delete(key, stored.revision);
        return { kind: "deleted", previous: previous.object };
      }
      if (dryRun || held === stored.object) return { kind: "marked", object: held };
      const written = await deps.storage.update(key, held, stored.revision);
      return { kind: "marked", object: written.object };
    } catch (error) {
      if (!(error instanceof RevisionConflictError)) throw error;
    }
  }
}

/** Deletes what a list selects; answers the last states (or marked objects), in list order. */
export async function deleteCollection(
  deps: RegistryDeps,
  target: Target,
  query: ListQuery,
  options: DeleteOptions,
  signal: AbortSignal,
): Promise<{ readonly objects: readonly KubeObject[]; readonly revision: number }> {
  const list = await listObjects(deps, target, query, signal);
  const objects: KubeObject[] = [];
  for (const { object } of list.items) {
    const one: Target = { ...target, name: nameOf(object), namespace: object.metadata.namespace ?? target.namespace };
    try {
      const deleted = await deleteObject(deps, one, options);
      objects.push(deleted.kind === "deleted" ? deleted.previous : deleted.object);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return { objects, revision: list.revision };
}

/** The marked state of an object that finalizers hold; the object itself when it is marked already. */
function heldState(target: Target, object: KubeObject, now: Date): KubeObject | undefined {
  const marked = target.resource.markDeleted?.(object);
  if (marked === undefined && (object.metadata.finalizers ?? []).length === 0) return undefined;
  if (object.metadata.deletionTimestamp !== undefined) return object;
  return withMeta(marked ?? object, { deletionTimestamp: formatTime(now), deletionGracePeriodSeconds: 0 });
}

function assertPreconditions(target: Target, stored: Stored, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  const record = stored.object.metadata;
  // The name slot holds the Kind here, as kube-apiserver answers it.
  const subject = { group: target.resource.kind.group, plural: target.resource.kind.kind };
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

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "not_found";
}
