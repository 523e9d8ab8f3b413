/** Helpers that creation and update share: editing of metadata, managed fields, warnings and refusals. */
import { type FieldError, selectReportedErrors } from "../../core/kube/status/field_error.ts";
import { formatTime, getName, type KubeObject, type ObjectMeta } from "../../core/kube/meta.ts";
import { genericServerError, invalidObject } from "../../core/kube/status/status.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { isUint64, parseUintText } from "./read.ts";
import type { RegistryDeps, Target } from "./registry.ts";
import { findSubresource, type Resource } from "./resource.ts";
import { createManagedEndpoint, type ManagedEndpoint } from "../../core/kube/apply/endpoint.ts";
import { type Author, trackUpdate } from "../../core/kube/apply/track_update.ts";
import { type StorageEvent, type Write, WriteRefusedError } from "../storage/storage.ts";

/** Keys of ObjectMeta in Go's order, so that edited metadata stays canonical. */
const META_ORDER: readonly (keyof ObjectMeta)[] = [
  "name",
  "generateName",
  "namespace",
  "selfLink",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "labels",
  "annotations",
  "ownerReferences",
  "finalizers",
  "managedFields",
];

/** Values to set in metadata; `undefined` removes a key. */
export type MetaEdit = { readonly [K in keyof ObjectMeta]?: ObjectMeta[K] | undefined };

/** Copies a canonical object with some metadata replaced; the copy is canonical too. */
export function withMeta<T extends KubeObject>(object: T, edit: MetaEdit): T {
  return { ...object, metadata: editInPlace(object.metadata, edit) ?? editInOrder(object.metadata, edit) };
}

/**
 * Edits metadata in place; undefined when a key is added or removed. Otherwise the keys keep their order, and sorting
 * them would cost several times as much.
 */
function editInPlace(metadata: ObjectMeta, edit: MetaEdit): ObjectMeta | undefined {
  const edited: Record<string, unknown> = { ...metadata };
  for (const [key, value] of Object.entries(edit)) {
    if (key in edited !== (value !== undefined)) return undefined;
    if (value !== undefined) edited[key] = value;
  }
  return edited as ObjectMeta;
}

function editInOrder(metadata: ObjectMeta, edit: MetaEdit): ObjectMeta {
  const merged: Record<string, unknown> = {};
  for (const key of META_ORDER) {
    const value = key in edit ? edit[key] : metadata[key];
    if (value !== undefined) merged[key] = value;
  }
  return merged as ObjectMeta;
}

/** Sends warnings about an accepted object to the client. */
export function sendWarnings(target: Target, object: KubeObject, stored: KubeObject | undefined): void {
  if (target.onWarning === undefined || target.subresource !== "") return;
  for (const text of target.resource.strategy.warn?.(object, stored) ?? []) target.onWarning(text);
}

/** Throws StatusError 500 for a version that is not a number (`storage/api_object_versioner.go`, ObjectResourceVersion). */
export function assertVersionText({ metadata: { resourceVersion: sent = "" } }: KubeObject): void {
  if (sent !== "" && !isUint64(sent)) throw genericServerError(parseUintText(sent));
}

/** Returns the kind of upstream's registry, whichever version was requested. */
export function getInternalKind({ conversion, kind }: Resource): Kind {
  return conversion?.kind ?? kind;
}

/** Throws StatusError 422 when there is any fault; equal faults are reported once. */
export function refuseInvalid(target: Target, object: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  throw invalidObject(getInternalKind(target.resource), getName(object), selectReportedErrors(errors));
}

const endpoints = new WeakMap<Resource, Map<string, ManagedEndpoint>>();

/** Returns the managed endpoint of a request, which is built at first use. */
export function getManagedEndpoint(
  { resource, subresource }: Pick<Target, "resource" | "subresource">,
): ManagedEndpoint {
  let known = endpoints.get(resource);
  if (known === undefined) endpoints.set(resource, known = new Map());
  let endpoint = known.get(subresource);
  if (endpoint === undefined) {
    const strategy = subresource === "" ? resource.strategy : findSubresource({ resource, subresource });
    endpoint = createManagedEndpoint(resource.kind, subresource, strategy?.resetFields ?? []);
    known.set(subresource, endpoint);
  }
  return endpoint;
}

export function createAuthor(deps: Pick<RegistryDeps, "clock">, manager: string): Author {
  return { manager, time: formatTime(deps.clock.now()) };
}

/** Updates the managed fields of an object that is about to replace `live` (undefined for a creation). */
export function trackOwners(
  deps: Pick<RegistryDeps, "clock">,
  target: Target,
  live: KubeObject | undefined,
  object: KubeObject,
  manager: string,
): KubeObject {
  const managedFields = trackUpdate(getManagedEndpoint(target), live, object, createAuthor(deps, manager));
  return withMeta(object, { managedFields });
}

/**
 * Writes an object. One that is too large for the store is written again without its managed fields, which can be large
 * (`handlers/create.go`, `update.go`, `patch.go`). Apply depends on managed fields and does not use this.
 *
 * @param write gets a function that it applies to the object just before storing it
 */
export async function writeFitting<T>(write: (finish: (object: KubeObject) => KubeObject) => Promise<T>): Promise<T> {
  try {
    return await write((object) => object);
  } catch (error) {
    if (!(error instanceof WriteRefusedError) || error.why !== "tooLarge") throw error;
    return await write((object) => withMeta(object, { managedFields: undefined }));
  }
}

/** Makes a prepared write, and with it others that belong to it; returns its change. Throws as `Storage.transact`. */
export async function commitWrite(
  deps: Pick<RegistryDeps, "storage" | "clock">,
  { resource, subresource, user, address, userAgent = "" }: Target,
  write: Write,
  { stored, others = [] }: { readonly stored?: KubeObject; readonly others?: readonly Write[] } = {},
): Promise<StorageEvent> {
  if (resource.commit !== undefined) {
    const now = deps.clock.now();
    return await resource.commit(write, { subresource, user, address, userAgent, now, stored, others });
  }
  const changes = await deps.storage.transact([...others, write]);
  return changes.at(-1)!;
}
