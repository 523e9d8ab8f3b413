/**
 * Update and patch: read, change, admit, validate and store, and start over if another client has written meanwhile
 * (`apiserver/pkg/registry/rest/update.go`, `registry/generic/registry/store.go`).
 */
import { isAppError } from "../../core/errors.ts";
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { isEqualJson, isJsonObject } from "../../core/kube/json_value.ts";
import type { KubeObject, ManagedFieldsEntry } from "../../core/kube/meta.ts";
import { type FieldError, invalid } from "../../core/kube/status/field_error.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import { badRequest, conflict, invalidObject, notFound } from "../../core/kube/status/status.ts";
import {
  validateObjectMeta,
  validateObjectMetaUpdate,
  validateStandardFinalizers,
} from "../../core/kube/rules/meta_v1.ts";
import { RevisionConflictError, type Stored } from "../storage/storage.ts";
import {
  admitMutation,
  assertAdmitted,
  invalidStoredObject,
  parseRequestedKey,
  type RegistryDeps,
  type Target,
  toAdmissionRequest,
} from "./registry.ts";
import { findSubresource, type Resource, type UpdateStrategy, type WriteContext } from "./resource.ts";
import { assertVersionText, commitWrite, createObject, refuseInvalid, sendWarnings, withMeta } from "./write.ts";

export type Updated =
  | { readonly kind: "stored"; readonly stored: Stored; readonly created: boolean }
  /** The object that a dry run would store, or the last state of an object that lost its last finalizer. */
  | { readonly kind: "object"; readonly object: KubeObject; readonly created: boolean };

/** Derives the new object from the stored one, which is undefined for a creation. */
export type Change = (stored: KubeObject | undefined) => KubeObject;

const MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

interface UpdateOptions {
  readonly dryRun: boolean;
  /** Authorizes the creation of a missing object; refuses by throwing. */
  readonly authorizeCreate?: () => Promise<void>;
  /** The uid that the object must have for a PUT; a patch that changes the uid is invalid instead. */
  readonly expectedUid?: string | undefined;
}

/**
 * Updates an object. Throws StatusError 403, 404, 409, 422, 500 (malformed `resourceVersion`).
 *
 * @param change refuses by throwing; called again when another client wrote in between
 */
export async function updateObject(
  deps: RegistryDeps,
  target: Target,
  change: Change,
  options: UpdateOptions,
): Promise<Updated> {
  const { storage } = deps;
  const key = parseRequestedKey(target);
  // Nearly always this is the current state, which saves a request to etcd. kube-apiserver begins with the state of its
  // watch cache for the same reason (`apiserver/pkg/storage/etcd3/store.go`, GuaranteedUpdate).
  const known = storage.getKnown(key);
  if (known !== undefined) {
    const isCurrent = async () => (await storage.get(key))?.revision === known.revision;
    const updated = await updateStored(deps, target, known, { ...options, change, isCurrent });
    if (updated !== undefined) return updated;
  }
  while (true) {
    const stored = await storage.get(key);
    const updated = stored === undefined
      ? await createMissing(deps, target, change, options)
      : await updateStored(deps, target, stored, { ...options, change });
    if (updated !== undefined) return updated;
  }
}

/** Creates a missing object; undefined if another client has created it first, so that it must be updated. */
async function createMissing(
  deps: RegistryDeps,
  target: Target,
  change: Change,
  options: UpdateOptions,
): Promise<Updated | undefined> {
  if (options.authorizeCreate === undefined) throw notFound(target.resource.kind, target.name);
  assertSameUid(target, options, undefined);
  try {
    const created = await createObject(deps, target, change(undefined), options.dryRun, options.authorizeCreate);
    return created.kind === "stored"
      ? { kind: "stored", stored: created.stored, created: true }
      : { kind: "object", object: created.object, created: true };
  } catch (error) {
    const isUpdate = isAppError(error, "already_exists") &&
      await deps.storage.get(parseRequestedKey(target)) !== undefined;
    if (isUpdate) return undefined;
    throw error;
  }
}

/**
 * Updates an object from a known state; undefined if that is not the current state. A write is guarded by the revision
 * of the state. For a refusal, an unchanged object or a dry run, `isCurrent` confirms the state; it is absent for a
 * state that was just read.
 */
async function updateStored(
  deps: RegistryDeps,
  target: Target,
  stored: Stored,
  options: UpdateOptions & { readonly change: Change; readonly isCurrent?: () => Promise<boolean> },
): Promise<Updated | undefined> {
  const { dryRun, isCurrent = () => Promise.resolve(true) } = options;
  let next: KubeObject | undefined;
  try {
    assertSameUid(target, options, stored);
    next = await prepareUpdate(deps, target, stored, options);
  } catch (error) {
    if (await isCurrent()) throw error;
    return undefined;
  }
  if ((next === undefined || dryRun) && !await isCurrent()) return undefined;
  if (next === undefined) return { kind: "stored", stored, created: false };
  if (dryRun) return { kind: "object", object: next, created: false };
  try {
    return await commit(deps, target, stored, next);
  } catch (error) {
    // A conditional update fails on its stale resourceVersion in the next round; an unconditional one succeeds.
    if (error instanceof RevisionConflictError) return undefined;
    throw error;
  }
}

async function commit(deps: RegistryDeps, target: Target, stored: Stored, next: KubeObject): Promise<Updated> {
  const { key, revision: expectedRevision, object } = stored;
  if (isFinalized(next)) {
    await commitWrite(deps, target, { kind: "delete", key, expectedRevision }, { stored: object });
    // The response is the sent object with the resourceVersion that it replaced.
    return { kind: "object", object: next, created: false };
  }
  const write = { kind: "update", key, object: next, expectedRevision } as const;
  const { current } = await commitWrite(deps, target, write, { stored: object });
  return { kind: "stored", stored: current!, created: false };
}

/** Prepares the object to store; undefined when nothing would change. */
async function prepareUpdate(
  deps: RegistryDeps,
  target: Target,
  stored: Stored,
  { change, dryRun }: { readonly change: Change; readonly dryRun: boolean },
): Promise<KubeObject | undefined> {
  const { resource } = target;
  const old = stored.object;
  const changed = change(old);
  await target.pause?.();

  const request = { ...toAdmissionRequest(target, "UPDATE"), oldObject: old };
  const admitted = await admitMutation(deps, { ...request, object: changed });
  if (target.subresource === "") await resource.guard?.(admitted, old, target);
  assertResourceVersion(target, admitted, stored);
  assertNamespace(target, admitted);

  const context: WriteContext = { user: target.user, now: deps.clock.now() };
  const strategy = getStrategy(target);
  const persisted = restoreMeta(target, admitted, old, dryRun);
  const prepared = withKeptTimes(strategy.prepareForUpdate?.(persisted, old, context) ?? persisted, old);
  refuseInvalid(target, prepared, [
    ...validateObjectMeta(prepared.metadata, {
      namespaced: resource.kind.namespaced,
      validateName: pathSegmentNameErrors,
    }),
    ...validateObjectMetaUpdate(prepared.metadata, old.metadata),
    ...(resource.strategy.anyFinalizer === true ? [] : validateStandardFinalizers(prepared.metadata)),
    ...(strategy.checksGenerateName === true ? findGenerateNameErrors(resource, prepared) : []),
    ...(strategy.validateUpdate?.(prepared, old, context) ?? []),
  ]);
  refuseInvalid(target, prepared, await strategy.checkPermission?.(prepared, old, target.user) ?? []);
  sendWarnings(target, prepared, old);
  await assertAdmitted(deps, { ...request, object: prepared });
  await target.pause?.();
  const next = storedForm(resource.kind.schema, prepared);
  return isEqualJson(next, old) ? undefined : next;
}

function findGenerateNameErrors({ strategy }: Resource, object: KubeObject): FieldError[] {
  const { generateName = "" } = object.metadata;
  const texts = generateName === "" ? [] : strategy.validateName?.(generateName, true, object) ?? [];
  return texts.map((text) => invalid("metadata.generateName", generateName, text));
}

function getStrategy(target: Target): UpdateStrategy {
  if (target.subresource === "") return target.resource.strategy;
  const subresource = findSubresource(target);
  if (subresource === undefined) throw new Error(`no strategy for subresource ${target.subresource}`);
  return subresource;
}

/** Restores the metadata that a client cannot change. */
function restoreMeta(target: Target, object: KubeObject, old: KubeObject, dryRun: boolean): KubeObject {
  return withMeta(object, {
    namespace: target.resource.kind.namespaced ? object.metadata.namespace ?? old.metadata.namespace : undefined,
    // `PrepareObjectForStorage` removes it, and a dry run ends before that step.
    selfLink: dryRun ? object.metadata.selfLink : undefined,
    uid: object.metadata.uid ?? old.metadata.uid,
    resourceVersion: old.metadata.resourceVersion,
    generation: old.metadata.generation,
    creationTimestamp: old.metadata.creationTimestamp,
    // Validation refuses a deletion timestamp that was not set, and a changed grace period.
    deletionTimestamp: old.metadata.deletionTimestamp ?? object.metadata.deletionTimestamp,
    deletionGracePeriodSeconds: object.metadata.deletionGracePeriodSeconds ?? old.metadata.deletionGracePeriodSeconds,
  });
}

function assertSameUid(
  target: Target,
  { expectedUid: sent = "", dryRun }: { readonly expectedUid?: string | undefined; readonly dryRun: boolean },
  stored: Stored | undefined,
): void {
  const kept = stored?.object.metadata.uid ?? "";
  if (sent === "" || sent === kept) return;
  const why = `Precondition failed: UID in precondition: ${sent}, UID in object meta: ${kept}`;
  throw conflict(target.resource.kind, target.name, invalidStoredObject(target, why, dryRun));
}

/** Checks the namespace again: a PUT was checked before, but a patch may change it. */
function assertNamespace({ resource, namespace }: Target, object: KubeObject): void {
  const named = object.metadata.namespace ?? "";
  if (!resource.kind.namespaced || named === "" || named === namespace) return;
  throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
}

function assertResourceVersion(target: Target, object: KubeObject, stored: Stored): void {
  const sent = object.metadata.resourceVersion ?? "";
  assertVersionText(object);
  if (sent === "" || Number(sent) === 0) {
    if (target.resource.strategy.needsResourceVersion !== true) return;
    // kube-apiserver's message has the resource in the place of the kind.
    const { group, plural } = target.resource.kind;
    throw invalidObject({ group, kind: plural }, target.name, [
      invalid("metadata.resourceVersion", 0, "must be specified for an update"),
    ]);
  }
  if (Number(sent) !== stored.revision) throw conflict(target.resource.kind, target.name, MODIFIED);
}

/** True for an object that is marked for deletion and has no finalizers left. */
function isFinalized(object: KubeObject): boolean {
  if (object.metadata.deletionTimestamp === undefined) return false;
  if ((object.metadata.finalizers ?? []).length > 0) return false;
  // A Namespace has more finalizers in its spec.
  const spec: unknown = "spec" in object ? object.spec : undefined;
  if (typeof spec !== "object" || spec === null || !("finalizers" in spec)) return true;
  return !Array.isArray(spec.finalizers) || spec.finalizers.length === 0;
}

/**
 * Restores the old times of the managers if nothing else would change (`handlers/fieldmanager/equality.go`), so that
 * writing the same object again does not create a new version.
 */
function withKeptTimes(next: KubeObject, old: KubeObject): KubeObject {
  const [newFields, oldFields] = [next.metadata.managedFields ?? [], old.metadata.managedFields ?? []];
  if (newFields.length === 0 || newFields.length !== oldFields.length) return next;
  if (!newFields.every((entry, index) => isSameOwnership(entry, oldFields[index]!))) return next;
  const kept = withMeta(next, { managedFields: oldFields });
  return isSameContent(kept, old) ? kept : next;
}

function isSameOwnership(a: ManagedFieldsEntry, b: ManagedFieldsEntry): boolean {
  return a.manager === b.manager && a.operation === b.operation && a.apiVersion === b.apiVersion &&
    a.subresource === b.subresource && a.fieldsType === b.fieldsType && isEqualJson(a.fieldsV1, b.fieldsV1);
}

/** Compares values, where a missing list or map equals an empty one. */
function isSameContent(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmptyContainer(a) && isEmptyContainer(b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isSameContent(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSameContent(a[name], b[name]));
}

function isEmptyContainer(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0) ||
    (isJsonObject(value) && Object.keys(value).length === 0);
}
