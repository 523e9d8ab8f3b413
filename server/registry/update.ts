/**
 * Update and patch: read, change, admit, validate, store, and again when somebody wrote in between
 * (`apiserver/pkg/registry/rest/update.go`, `registry/generic/registry/store.go`).
 */
import type { KubeObject } from "../../core/kube/meta.ts";
import { invalid } from "../../core/kube/field_error.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import { conflict, forbidden, genericServerError, invalidObject, notFound } from "../../core/kube/status.ts";
import { validateObjectMeta, validateObjectMetaUpdate } from "../../core/kube/validation/object_meta.ts";
import { RevisionConflictError, type Stored } from "../storage/storage.ts";
import { createObject } from "./create.ts";
import { keyOf, prefixOf } from "./keys.ts";
import { parseUintText } from "./read.ts";
import type { RegistryDeps, Target } from "./registry.ts";
import type { UpdateStrategy, WriteContext } from "./resource.ts";
import { refuseInvalid, withMeta } from "./write.ts";

/** What an update answers. */
export type Updated =
  | { readonly kind: "stored"; readonly stored: Stored; readonly created: boolean }
  /** The object that would be stored (dry run), or the last state of one whose last finalizer went. */
  | { readonly kind: "object"; readonly object: KubeObject; readonly created: boolean };

/** Makes the new object out of the stored one: what was put, or the patched state. */
export type Change = (stored: KubeObject) => Promise<KubeObject>;

const MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

/**
 * Updates an object. Throws StatusError 403, 404, 409, 422, 500 (malformed `resourceVersion`).
 *
 * @param create the object to create when there is none and the resource allows it; `authorize` refuses by throwing
 */
export async function updateObject(
  deps: RegistryDeps,
  target: Target,
  change: Change,
  options: {
    readonly dryRun: boolean;
    readonly create?: { readonly object: KubeObject; authorize(): Promise<void> };
    /** What was put is about the object of this uid only; a patch that changes the uid is invalid instead. */
    readonly expectedUid?: string | undefined;
  },
): Promise<Updated> {
  const key = keyOf(target.resource, target.namespace, target.name);
  while (true) {
    const stored = await deps.storage.get(key);
    if (stored === undefined) {
      if (options.create === undefined || !target.resource.strategy.createOnUpdate) {
        throw notFound(target.resource.kind, target.name);
      }
      const created = await createObject(deps, target, options.create.object, options.dryRun, options.create.authorize);
      return created.kind === "stored"
        ? { kind: "stored", stored: created.stored, created: true }
        : { kind: "object", object: created.object, created: true };
    }
    assertSameUid(target, options.expectedUid ?? "", stored);
    const next = await prepareUpdate(deps, target, stored, change);
    if (next === undefined) return { kind: "stored", stored, created: false };
    if (options.dryRun) return { kind: "object", object: next, created: false };
    try {
      return await commit(deps, stored, next);
    } catch (error) {
      // A conditional update meets its stale resourceVersion on the next round; an unconditional one goes through.
      if (!(error instanceof RevisionConflictError)) throw error;
    }
  }
}

async function commit(deps: RegistryDeps, stored: Stored, next: KubeObject): Promise<Updated> {
  if (isFinalized(next)) {
    const { revision } = await deps.storage.delete(stored.key, stored.revision);
    return {
      kind: "object",
      object: withMeta(next, { resourceVersion: String(revision) }),
      created: false,
    };
  }
  const written = await deps.storage.update(stored.key, next, stored.revision);
  return { kind: "stored", stored: written, created: false };
}

/** The object to store, or undefined when nothing would change. */
async function prepareUpdate(
  deps: RegistryDeps,
  target: Target,
  stored: Stored,
  change: Change,
): Promise<KubeObject | undefined> {
  const { resource, name } = target;
  const old = stored.object;
  const changed = await change(old);

  const admissionRequest = {
    operation: "UPDATE" as const,
    kind: resource.kind,
    subresource: target.subresource,
    name,
    namespace: target.namespace,
    user: target.user,
    oldObject: old,
  };
  const admitted = await deps.admission.mutate({ ...admissionRequest, object: changed });
  if (admitted.kind === "refused") throw forbidden(resource.kind, name, admitted.message);
  assertResourceVersion(target, admitted.object, stored);

  const context: WriteContext = { user: target.user, now: deps.clock.now() };
  const strategy = strategyOf(target);
  const persisted = persistMeta(target, admitted.object, old);
  const prepared = strategy.prepareForUpdate(persisted, old, context);
  refuseInvalid(target, prepared, [
    ...validateObjectMeta(prepared.metadata, {
      namespaced: resource.kind.namespaced,
      validateName: (value) => pathSegmentNameErrors(value),
    }),
    ...validateObjectMetaUpdate(prepared.metadata, old.metadata),
    ...strategy.validateUpdate(prepared, old),
  ]);
  if (target.subresource === "") await resource.guard?.(prepared, old, target.user);
  const refusal = await deps.admission.validate({ ...admissionRequest, object: prepared });
  if (refusal !== undefined) throw forbidden(resource.kind, name, refusal.message);
  return isUnchanged(prepared, old) ? undefined : prepared;
}

function strategyOf(target: Target): UpdateStrategy {
  if (target.subresource === "") return target.resource.strategy;
  const found = target.resource.subresources.find((candidate) => candidate.name === target.subresource);
  if (found === undefined) throw new Error(`no strategy for subresource ${target.subresource}`);
  return found;
}

/** Metadata that a client cannot change. */
function persistMeta(target: Target, object: KubeObject, old: KubeObject): KubeObject {
  return withMeta(object, {
    namespace: target.resource.kind.namespaced ? object.metadata.namespace ?? old.metadata.namespace : undefined,
    selfLink: undefined,
    uid: object.metadata.uid ?? old.metadata.uid,
    resourceVersion: old.metadata.resourceVersion,
    generation: old.metadata.generation,
    creationTimestamp: old.metadata.creationTimestamp,
    // Validation refuses to set what is unset.
    deletionTimestamp: old.metadata.deletionTimestamp ?? object.metadata.deletionTimestamp,
    deletionGracePeriodSeconds: old.metadata.deletionGracePeriodSeconds ?? object.metadata.deletionGracePeriodSeconds,
  });
}

function assertSameUid(target: Target, sent: string, stored: Stored): void {
  const kept = stored.object.metadata.uid ?? "";
  if (sent === "" || sent === kept) return;
  const storageKey = `${prefixOf(target.resource, target.namespace)}${target.name}`;
  throw conflict(
    target.resource.kind,
    target.name,
    `StorageError: invalid object, Code: 4, Key: ${storageKey}, ResourceVersion: 0, AdditionalErrorMsg: ` +
      `Precondition failed: UID in precondition: ${sent}, UID in object meta: ${kept}`,
  );
}

function assertResourceVersion(target: Target, object: KubeObject, stored: Stored): void {
  const sent = object.metadata.resourceVersion ?? "";
  if (sent !== "" && !/^\d+$/.test(sent)) throw genericServerError(parseUintText(sent));
  if (sent === "" || Number(sent) === 0) {
    if (target.resource.strategy.unconditionalUpdate) return;
    // The resource stands in the place of the kind here, as kube-apiserver answers it.
    const { group, plural } = target.resource.kind;
    throw invalidObject({ group, kind: plural }, target.name, [
      invalid("metadata.resourceVersion", 0, "must be specified for an update"),
    ]);
  }
  if (Number(sent) !== stored.revision) throw conflict(target.resource.kind, target.name, MODIFIED);
}

/** Marked for deletion and held by nobody any more. */
function isFinalized(object: KubeObject): boolean {
  if (object.metadata.deletionTimestamp === undefined) return false;
  if ((object.metadata.finalizers ?? []).length > 0) return false;
  // A namespace has finalizers of its own in its spec.
  const spec: unknown = "spec" in object ? object.spec : undefined;
  if (typeof spec !== "object" || spec === null || !("finalizers" in spec)) return true;
  return !Array.isArray(spec.finalizers) || spec.finalizers.length === 0;
}

/** Same content; times inside managedFields do not count (no-op writes keep the resourceVersion). */
function isUnchanged(next: KubeObject, old: KubeObject): boolean {
  return JSON.stringify(next, dropManagedTimes) === JSON.stringify(old, dropManagedTimes);
}

function dropManagedTimes(key: string, value: unknown): unknown {
  if (key !== "managedFields" || !Array.isArray(value)) return value;
  return value.map((entry: unknown) => ({ ...(entry as object), time: undefined }));
}
