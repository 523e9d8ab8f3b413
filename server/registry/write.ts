/**
 * Creation: admit, set the server's metadata, validate and store (`apiserver/pkg/registry/rest/create.go`,
 * `registry/generic/registry`). This file also has what creation shares with updates: editing of metadata,
 * managed fields, warnings and refusals.
 */
import { type FieldError, selectReportedErrors } from "../../core/kube/status/field_error.ts";
import { formatTime, getName, type KubeObject, type ObjectMeta } from "../../core/kube/meta.ts";
import {
  alreadyExists,
  generateNameConflict,
  genericServerError,
  invalidObject,
} from "../../core/kube/status/status.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { formatParseUintError, isUint64 } from "./read.ts";
import {
  admitMutation,
  assertAdmitted,
  createUid,
  generateName,
  type RegistryDeps,
  type Target,
  toAdmissionRequest,
  toStorageKey,
} from "./registry.ts";
import { findSubresource, type Resource, type WriteContext } from "./resource.ts";
import {
  type Author,
  createManagedEndpoint,
  type ManagedEndpoint,
  trackUpdate,
} from "../../core/kube/apply/track_update.ts";
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import { validateObjectMeta, validateObjectName, validateStandardFinalizers } from "../../core/kube/rules/meta_v1.ts";
import {
  AlreadyExistsError,
  RevisionConflictError,
  type StorageEvent,
  type Stored,
  type Write,
  WriteRefusedError,
} from "../storage/storage.ts";

/** How many generated names are tried before the creation is refused. */
const GENERATE_ATTEMPTS = 8;
/** How often a creation is prepared again because a write that belongs to it is no longer possible. */
const CONFLICT_ATTEMPTS = 100;

/** The result of a creation: the stored object, or for a dry run the object that would be stored. */
export type Created = { readonly kind: "stored"; readonly stored: Stored } | {
  readonly kind: "dryRun";
  readonly object: KubeObject;
};

/**
 * Creates an object. Throws StatusError 403 (admission), 409, 422, 500 (`resourceVersion` sent).
 *
 * @param sent the decoded object with its defaults
 * @param authorize called before validating admission, if the request itself was not authorized as a creation
 */
export async function createObject(
  deps: RegistryDeps,
  target: Target,
  sent: KubeObject,
  dryRun: boolean,
  authorize?: () => Promise<void>,
): Promise<Created> {
  for (let attempt = 1;; attempt++) {
    try {
      return await createOnce(deps, target, sent, dryRun, authorize);
    } catch (error) {
      if (error instanceof RevisionConflictError && attempt < CONFLICT_ATTEMPTS) continue;
      if (!(error instanceof AlreadyExistsError)) throw error;
      if (target.resource.replace !== undefined && !dryRun && attempt < CONFLICT_ATTEMPTS) continue;
      const name = error.key.slice(error.key.lastIndexOf("/") + 1);
      const hasBase = (sent.metadata.generateName ?? "") !== "";
      if (hasBase && (sent.metadata.name ?? "") === "" && attempt < GENERATE_ATTEMPTS) continue;
      const refuse = hasBase ? generateNameConflict : alreadyExists;
      throw refuse(target.resource.kind, name, await isBeingDeleted(deps, target, name));
    }
  }
}

async function createOnce(
  deps: RegistryDeps,
  target: Target,
  sent: KubeObject,
  dryRun: boolean,
  authorize?: () => Promise<void>,
): Promise<Created> {
  const { resource } = target;
  const context: WriteContext = { user: target.user, now: deps.clock.now() };
  // Admission and guard are called before a name is generated and before anything is validated.
  const admitted = await admitMutation(deps, { ...toAdmissionRequest(target, "CREATE", getName(sent)), object: sent });
  await resource.guard?.(admitted, undefined, target);
  if (authorize !== undefined) assertVersionText(admitted);
  const { strategy } = resource;
  const stamped = stamp(deps, target, admitted, context.now);
  const prepared = strategy.prepareForCreate?.(stamped, context) ?? stamped;
  const name = getName(prepared);

  await target.pause?.();
  await strategy.prepareValidation?.(prepared);
  refuseInvalid(target, prepared, [
    ...(strategy.validateBeforeMetadata?.(prepared) ?? []),
    ...findMetadataErrors(resource, prepared),
    ...(strategy.validateCreate?.(prepared) ?? []),
  ]);
  // The path rules are checked last and alone, as in the API machinery.
  refuseInvalid(
    target,
    prepared,
    resource.strategy.anyMetadata === true
      ? validateObjectMeta(prepared.metadata, {
        namespaced: resource.kind.namespaced,
        validateName: pathSegmentNameErrors,
      })
      : validateObjectName(prepared.metadata, pathSegmentNameErrors),
  );

  sendWarnings(target, prepared, undefined);
  await authorize?.();
  const others: Write[] = [];
  await assertAdmitted(deps, {
    ...toAdmissionRequest(target, "CREATE", name),
    object: prepared,
    alsoWrite: (write) => others.push(write),
  });

  const version = sent.metadata.resourceVersion ?? "";
  // A PUT or apply that creates an object is handled as an update, which does not check this.
  if (!dryRun && authorize === undefined && /^\d+$/.test(version) && Number(version) !== 0) {
    throw genericServerError("resourceVersion should not be set on objects to be created");
  }
  await target.pause?.();
  const key = toStorageKey(resource, target.namespace, name);
  const earlier = resource.replace === undefined ? undefined : await deps.storage.get(key);
  const fresh = storedForm(
    resource.kind.schema,
    earlier === undefined ? prepared : replaceEarlier(resource, prepared, earlier),
  );
  if (dryRun) {
    if (earlier === undefined && await deps.storage.get(key) !== undefined) throw new AlreadyExistsError(key);
    // An object that is not stored gets no new version.
    return { kind: "dryRun", object: version === "" ? fresh : withMeta(fresh, { resourceVersion: version }) };
  }
  const write: Write = earlier === undefined
    ? { kind: "create", key, object: fresh }
    : { kind: "update", key, object: fresh, expectedRevision: earlier.revision };
  const { current } = await commitWrite(deps, target, write, { others });
  return { kind: "stored", stored: current! };
}

/** Returns the object that replaces an earlier one and keeps its identity. */
function replaceEarlier(resource: Resource, prepared: KubeObject, { object: earlier }: Stored): KubeObject {
  const { uid, creationTimestamp } = earlier.metadata;
  return withMeta(resource.replace?.(prepared, earlier) ?? prepared, { uid, creationTimestamp });
}

function findMetadataErrors({ kind, strategy }: Resource, object: KubeObject): readonly FieldError[] {
  const { metadata } = object;
  if (strategy.anyMetadata === true) return [];
  return [
    ...validateObjectMeta(metadata, {
      namespaced: kind.namespaced,
      validateName: (value, prefix) => strategy.validateName?.(value, prefix, object) ?? [],
    }),
    ...(strategy.anyFinalizer === true ? [] : validateStandardFinalizers(metadata)),
  ];
}

/** Sets the metadata that only the server may set, and drops the client's values. */
function stamp(deps: RegistryDeps, target: Target, sent: KubeObject, now: Date): KubeObject {
  const { name = "", generateName: base = "" } = sent.metadata;
  const chosenName = name === "" && base !== "" ? generateName(base, deps.random) : name;
  return withMeta(sent, {
    name: chosenName === "" ? undefined : chosenName,
    namespace: target.resource.kind.namespaced ? target.namespace : undefined,
    selfLink: undefined,
    uid: createUid(deps.random),
    resourceVersion: undefined,
    creationTimestamp: formatTime(now),
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
  });
}

async function isBeingDeleted(deps: RegistryDeps, target: Target, name: string): Promise<boolean> {
  const stored = await deps.storage.get(toStorageKey(target.resource, target.namespace, name));
  return stored?.object.metadata.deletionTimestamp !== undefined;
}

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

/** Metadata values to set; `undefined` removes a key. */
export type MetaEdit = { readonly [K in keyof ObjectMeta]?: ObjectMeta[K] | undefined };

/** Copies a canonical object with some metadata replaced; the copy is canonical too. */
export function withMeta<T extends KubeObject>(object: T, edit: MetaEdit): T {
  return { ...object, metadata: editInPlace(object.metadata, edit) ?? editInOrder(object.metadata, edit) };
}

/**
 * Edits metadata without sorting its keys, which would cost several times as much; undefined when a key is added or
 * removed, which requires sorting.
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
  if (sent !== "" && !isUint64(sent)) throw genericServerError(formatParseUintError(sent));
}

/** Returns the kind in upstream's registry, which does not depend on the requested version. */
export function getInternalKind({ conversion, kind }: Resource): Kind {
  return conversion?.kind ?? kind;
}

/** Throws StatusError 422 if there is a fault; equal faults are reported once. */
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
 * Writes an object. If it is too large for the store, writes it again without its managed fields, which can be large
 * (`handlers/create.go`, `update.go`, `patch.go`). Apply depends on managed fields and does not use this.
 *
 * @param write receives a function to apply to the object just before storing it
 */
export async function writeFitting<T>(write: (finish: (object: KubeObject) => KubeObject) => Promise<T>): Promise<T> {
  try {
    return await write((object) => object);
  } catch (error) {
    if (!(error instanceof WriteRefusedError) || error.why !== "tooLarge") throw error;
    return await write((object) => withMeta(object, { managedFields: undefined }));
  }
}

/** Makes a prepared write and the others that belong to it; returns its change. Throws like `Storage.transact`. */
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
